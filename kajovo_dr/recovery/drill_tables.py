"""What a drill's report and the command line show in tables: objectives, phases, all drills.

Belongs here: rows of plain text, in one language. Not here: markup (``drill_report``) and terminals
(``cli_drill``).
"""

from __future__ import annotations

from collections.abc import Iterable

from kajovo_dr.recovery.drill_history import History
from kajovo_dr.recovery.drill_record import RTO_PHASES, DrillPhase, DrillRecord, Objective
from kajovo_dr.recovery.drill_words import Words
from kajovo_dr.recovery.report_words import NOTHING


def verdicts(record: DrillRecord, words: Words) -> Iterable[tuple[str, str, Objective, str]]:
    """RTO and RPO: name, value, verdict, and the limits or why there is no value."""
    limits = record.objectives
    rto = words(
        "limits", warn=words.duration(limits.rto_warn_s), limit=words.duration(limits.rto_s)
    )
    rpo = words(
        "limits", warn=words.duration(limits.rpo_warn_s), limit=words.duration(limits.rpo_s)
    )
    how = rto if record.application else f"{rto}; {words('without_application')}"
    yield (
        words("rto_long"),
        words.duration(record.rto_s),
        record.rto_verdict,
        how if record.rto_s is not None else words("rto_none"),
    )
    before = rpo if record.data_age_s is not None else words("no_proven")
    yield words("rpo_before"), words.duration(record.data_age_s), record.rpo_verdict, before
    after = rpo if record.data_age_after_s is not None else words("no_proven")
    yield (
        words("rpo_after"),
        words.duration(record.data_age_after_s),
        record.rpo_after_verdict,
        after,
    )


def result(record: DrillRecord, words: Words) -> str:
    """How it ended, and in which phase when it failed."""
    if record.failed_phase is None:
        return words("ok")
    return words("failed_in", phase=words.phase(record.failed_phase))


def phase_titles(words: Words) -> list[str]:
    """Titles of the table of phases."""
    return [words(key) for key in ("phase", "began", "duration", "of_rto", "result", "detail")]


def phase_rows(record: DrillRecord, words: Words) -> list[list[str]]:
    """A row per phase, and one for the whole recovery when it was measured."""
    rows = [
        [
            words.phase(phase.name),
            words.clock(phase.began_at),
            words.duration(phase.seconds) if phase.began_at else NOTHING,
            _share(record, phase, words),
            words(phase.verdict),
            words.did(phase),
        ]
        for phase in record.phases
    ]
    if record.rto_s is not None:
        share = words.percent(record.rto_s / record.objectives.rto_s)
        took = words.duration(record.rto_s)
        rows.append([words("sum"), "", took, share, words(record.rto_verdict), ""])
    return rows


def _share(record: DrillRecord, phase: DrillPhase, words: Words) -> str:
    """The part of the RTO that a phase of the recovery used."""
    if phase.name not in RTO_PHASES or phase.name not in record.seconds:
        return ""
    return words.percent(phase.seconds / record.objectives.rto_s)


def made_of(record: DrillRecord, words: Words) -> str:
    """Which phases the time to recover is the sum of; empty when it was not measured."""
    if record.rto_s is None:
        return ""
    ran = [words.phase(name) for name in RTO_PHASES if name in record.seconds]
    return words("sum_of", phases=" + ".join(ran))


def history_titles(words: Words) -> list[str]:
    """Titles of the table of all drills."""
    keys = ("drill", "started", "result", "rto", "data_age", "dump", "rows", "who")
    return [words(key) for key in keys]


def history_rows(history: History, words: Words) -> list[list[str]]:
    """A row per drill, newest first."""
    return [
        [
            drill.id,
            f"{words.local_day(drill.started_at)} {words.clock(drill.started_at)[:5]}",
            result(drill, words),
            words.duration(drill.recovery_s),
            words.duration(drill.data_age_s),
            words.bytes(drill.dump_bytes),
            NOTHING if drill.rows is None else words.number(drill.rows),
            drill.who,
        ]
        for drill in reversed(history.drills)
    ]
