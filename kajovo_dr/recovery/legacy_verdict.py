"""Whether the numbers of a migration of legacy data can be believed: never by its exit code alone.

Belongs here: every judgement that needs nothing but the report and the rows that were there to be
migrated. Not here: what the migration did to the database (``legacy_audit``, ``legacy``).
"""

from __future__ import annotations

from collections.abc import Mapping

from kajovo_dr.errors import LegacyFailed
from kajovo_dr.recovery.legacy_report import Report, Totals, cut

_ERRORS_TOLD = 3


def judge(
    report: Report, *, dry_run: bool, expected: Mapping[str, int], secrets: tuple[str, ...]
) -> None:
    """Raise `LegacyFailed` for what a report must not say; of several things, the gravest.

    expected: domain -> its rows in the legacy database. secrets: to be taken out of messages.
    """
    _judge_kind(report, dry_run)
    _judge_domains(report, expected)
    _judge_sums(report)
    if report.totals.scanned == 0:
        raise LegacyFailed(
            "migrate_legacy scanned no row at all",
            hint="look whether KAJOVO_DR_LEGACY_URL names the right database, and that its rows "
            "are there; when there is nothing to migrate, unset it.",
        )
    _judge_errors(report, secrets)
    _judge_counts(report, expected)


def judge_second(report: Report) -> None:
    """Of a run after everything was imported: it must find that, and import nothing twice."""
    totals = report.totals
    if totals.imported or totals.skipped != totals.scanned:
        raise LegacyFailed(
            f"a second run of migrate_legacy did not skip every row: {totals}",
            hint="rows may be in the restored database twice: recover anew, and mend in "
            "migrate_legacy how it recognises rows that it has imported.",
        )


def _judge_kind(report: Report, dry_run: bool) -> None:
    if report.dry_run is dry_run:
        return
    asked, was = ("a dry run", "a real one") if dry_run else ("a real run", "a dry one")
    raise LegacyFailed(
        f"migrate_legacy was asked for {asked} and reports {was}",
        hint="look what KAJOVO_DR_LEGACY_COMMAND does with --dry-run.",
    )


def _judge_domains(report: Report, expected: Mapping[str, int]) -> None:
    unknown = sorted(report.domains.keys() - expected.keys())
    missing = sorted(expected.keys() - report.domains.keys())
    if unknown or missing:
        told = [f"has {cut(', '.join(unknown))} in addition"] if unknown else []
        told += [f"lacks {cut(', '.join(missing))}"] if missing else []
        raise LegacyFailed(
            f"the report of migrate_legacy {' and '.join(told)}",
            hint="KAJOVO_DR_LEGACY_DOMAINS must name its domains, each with a query that counts "
            "its rows.",
        )


def _judge_sums(report: Report) -> None:
    hint = "mend how migrate_legacy counts: rows may be lost without a word."
    for name, totals in [*sorted(report.domains.items()), ("totals", report.totals)]:
        if not totals.adds_up:
            raise LegacyFailed(
                f"the report of migrate_legacy does not add up, {cut(name)}: {totals}", hint=hint
            )
    for field in Totals.model_fields:
        parts = sum(getattr(each, field) for each in report.domains.values())
        if parts != getattr(report.totals, field):
            raise LegacyFailed(
                f"the report of migrate_legacy does not add up: {field} is "
                f"{getattr(report.totals, field)} in all, {parts} in its domains together",
                hint=hint,
            )


def _judge_errors(report: Report, secrets: tuple[str, ...]) -> None:
    if not report.totals.errors and not report.errors:
        return
    failing = [f"{name} {each.errors}" for name, each in report.domains.items() if each.errors]
    first = "; ".join(each.shown(secrets) for each in report.errors[:_ERRORS_TOLD])
    raise LegacyFailed(
        f"migrate_legacy could not import {report.totals.errors or len(report.errors)} of "
        f"{report.totals.scanned} rows ({', '.join(failing) or 'in no domain'}): "
        f"{first or 'it lists none of them'}",
        hint="mend these rows in the legacy database, or migrate_legacy, and go on: rows that are "
        "imported already are skipped.",
    )


def _judge_counts(report: Report, expected: Mapping[str, int]) -> None:
    differing = [
        f"{name} {report.domains[name].scanned} of {count}"
        for name, count in expected.items()
        if report.domains[name].scanned != count
    ]
    if differing:
        raise LegacyFailed(
            f"migrate_legacy scanned other rows than the legacy database has: "
            f"{', '.join(differing)}",
            hint="look whether it reads the database of KAJOVO_DR_LEGACY_URL, whether the queries "
            "of KAJOVO_DR_LEGACY_DOMAINS count what it scans, and that nobody writes there.",
        )
