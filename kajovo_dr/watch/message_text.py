"""A notice as a message that a person reads on a telephone: what, since when, how much, what next.

Belongs here: the form. Not here: the texts (``watch_texts``), and when something is said
(``alerts.transitions``).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from datetime import datetime

from kajovo_dr.alerts.message import Kind, Message, compose
from kajovo_dr.alerts.transitions import Notice, severity
from kajovo_dr.watch.scene import Words

#: Characters of what somebody else's message says: services cut what is longer, or refuse it.
_WHAT = 1500


def written(notice: Notice, words: Words, now: datetime) -> Message:
    """The message of a notice."""
    what = _former(notice) if _kind(notice) == "over" else notice.standing.what
    return _composed(notice, words, what, _lines(notice, words, now), now)


def plainly(notice: Notice, words: Words, now: datetime, why: str) -> Message:
    """The message without its times and figures, which could not be written, and why."""
    lines = {
        "line_what": _cut(_former(notice)),
        "line_now": why,
        "line_next": notice.standing.next or "kajovo-dr status",
        "line_from": f"kajovo_dr, {platform.node()}",
    }
    said = (f"{words(key)}: {text}" for key, text in lines.items())
    return _composed(notice, words, _former(notice), said, now)


def _composed(
    notice: Notice, words: Words, what: str, lines: Iterable[str], now: datetime
) -> Message:
    audience = notice.audience
    return compose(
        _kind(notice),
        "critical" if "critical" in audience else "warning",
        audience,
        f"{_word(notice, words)}: {what}",
        "\n".join(lines),
        now,
    )


def _kind(notice: Notice) -> Kind:
    if notice.change in ("over", "was") and notice.standing.level == "ok":
        return "over"
    return severity(notice.standing.level)


def _word(notice: Notice, words: Words) -> str:
    if notice.change == "was" and notice.worse is not None:
        return f"{words('title_was')} {words(notice.worse.level).upper()}"
    if notice.change in ("over", "better", "repeated"):
        return words(f"title_{notice.change}")
    return words(f"title_{severity(notice.standing.level)}")


def _former(notice: Notice) -> str:
    """What is over is told by what it was."""
    known = notice.known
    told = known.told_what if known is not None and known.told != "ok" else ""
    return told or notice.standing.what


def _lines(notice: Notice, words: Words, now: datetime) -> Iterator[str]:
    standing = notice.standing
    ended = standing.level == "ok"
    yield f"{words('line_what')}: {_cut(_former(notice) if ended else standing.what)}"
    yield from _times(notice, words, now)
    if ended and standing.what != _former(notice) and standing.what:
        yield f"{words('line_now')}: {_cut(standing.what)}"
    if figure := _figure(notice, words):
        yield figure
    if notice.worse is not None:
        meanwhile = words(
            "meanwhile",
            level=words(notice.worse.level),
            since=words.moment(notice.worse.since),
            until=words.moment(notice.worse.until),
        )
        yield f"{words('line_meanwhile')}: {meanwhile}"
    if standing.next and not ended:
        yield f"{words('line_next')}: {standing.next}"
    if standing.link:
        yield f"{words('line_run')}: {standing.link}"
    yield f"{words('line_from')}: kajovo_dr, {platform.node()}, {words.moment(now)}"


def _times(notice: Notice, words: Words, now: datetime) -> Iterator[str]:
    standing = notice.standing
    trouble = standing.trouble_since
    if standing.level == "ok":
        if trouble is not None and notice.change == "over":
            lasted = (standing.seen_at - trouble).total_seconds()
            yield f"{words('line_since')}: {words.moment(trouble)}"
            yield f"{words('line_lasted')}: {words.duration(max(lasted, 0.0))}"
        return
    yield f"{words('line_since')}: {words.moment(standing.since)}"
    if notice.before not in ("ok", standing.level):
        yield f"{words('line_before')}: {words(notice.before)}"


def _figure(notice: Notice, words: Words) -> str:
    """``Figure: 26 h 10 min, limit 24 h``; what has no figure has its limit alone."""
    figure, limit = notice.standing.figure, notice.standing.limit
    if figure and limit:
        limit = f"{words('line_limit').lower()} {limit}"
        return f"{words('line_figure')}: {figure}, {limit}"
    if figure:
        return f"{words('line_figure')}: {figure}"
    return f"{words('line_limit')}: {limit}" if limit else ""


def _cut(text: str) -> str:
    return text if len(text) <= _WHAT else text[: _WHAT - 1] + "…"
