"""A working stand-in of the hotel's migrate_legacy: imports the old system's rows, each once.

    python -m kajovo_dr.sandbox.migrate_legacy [--dry-run] [--report-json P] [--report-csv P]

LEGACY_DB_URL and DATABASE_URL are SQLAlchemy's. Like the tool it stands for, it ends with 0 when
single rows failed: only its report says so. Reports are written where it is told to, nowhere else.

Belongs here: command line, the audit, the report. Not here: what becomes of a row
(``legacy_mapping``), and any judgement of the outcome: that is the recovery's.
"""

from __future__ import annotations

import argparse
import csv
import functools
import io
import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from kajovo_dr.sandbox.legacy_mapping import IMPORTS, Import

AUDIT_TABLE = "legacy_migration_audit"
#: Not in the hotel's own metadata: Alembic must not know this table.
_audit = sa.Table(
    AUDIT_TABLE,
    sa.MetaData(),
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("domain", sa.String(64), nullable=False),
    sa.Column("legacy_table", sa.String(64), nullable=False),
    sa.Column("legacy_pk", sa.String(64), nullable=False),
    sa.Column("target_table", sa.String(64), nullable=False),
    sa.Column("target_pk", sa.String(64), nullable=False),
    sa.Column("import_status", sa.String(32), nullable=False),
    sa.Column("mapping_note", sa.Text()),
    sa.Column("raw_record", sa.JSON(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
    sa.UniqueConstraint("domain", "legacy_table", "legacy_pk", "target_table"),
)


@dataclass
class Totals:
    """Rows of a domain, or of all."""

    scanned: int = 0
    imported: int = 0
    skipped: int = 0
    errors: int = 0


@dataclass
class Run:
    """One run on an open connection to the new database. targets: what earlier rows became."""

    connection: sa.Connection
    targets: dict[tuple[str, str], int] = field(default_factory=dict)
    domains: dict[str, Totals] = field(default_factory=dict)
    errors: list[dict[str, str]] = field(default_factory=list)

    def begin(self) -> None:
        """Find the tables and read the audit; raises `SQLAlchemyError` when a table is missing."""
        missing = {each.target.name for each in IMPORTS} - set(
            sa.inspect(self.connection).get_table_names()
        )
        if missing:
            raise sa.exc.NoSuchTableError(", ".join(sorted(missing)))
        _audit.create(self.connection, checkfirst=True)
        for table, key, target in self.connection.execute(
            sa.select(_audit.c.legacy_table, _audit.c.legacy_pk, _audit.c.target_pk)
        ):
            self.targets[table, key] = int(target)

    def take(self, source: Import, row: dict[str, Any]) -> None:
        """Import one row, in a savepoint, unless the audit knows it."""
        totals = self.domains.setdefault(source.domain, Totals())
        totals.scanned += 1
        key = source.legacy_table, str(row["id"])
        if key in self.targets:
            totals.skipped += 1
            return
        try:
            with self.connection.begin_nested():
                self.targets[key] = self._insert(source, row)
            totals.imported += 1
        except (SQLAlchemyError, LookupError) as failure:
            totals.errors += 1
            where = {"domain": source.domain, "legacy_table": key[0], "legacy_pk": key[1]}
            self.errors.append({**where, "error": f"{type(failure).__name__}: {failure}"})

    def _insert(self, source: Import, row: dict[str, Any]) -> int:
        values, note = source.mapped(row, self.targets)
        insert = sa.insert(source.target).values(values).returning(source.target.c.id)
        target = int(self.connection.execute(insert).scalar_one())
        audit = sa.insert(_audit).values(
            domain=source.domain,
            legacy_table=source.legacy_table,
            legacy_pk=str(row["id"]),
            target_table=source.target.name,
            target_pk=str(target),
            import_status="imported",
            mapping_note=note,
            raw_record=row,
        )
        self.connection.execute(audit)
        return target


def main() -> None:
    """Import everything, or find out what an import would do."""
    options = _options()
    try:
        legacy, new = (_engine(name) for name in ("LEGACY_DB_URL", "DATABASE_URL"))
        began = datetime.now(UTC)
        with legacy.connect() as source, new.connect() as target:
            run = Run(target)
            run.begin()
            for each in IMPORTS:
                run.domains.setdefault(each.domain, Totals())
                for row in source.execute(sa.text(each.query)).mappings():
                    run.take(each, dict(row))
            if options.dry_run:
                target.rollback()
            else:
                target.commit()
    except SQLAlchemyError as failure:
        raise SystemExit(f"{type(failure).__name__}: {failure}") from None
    try:
        _write(options, run, began)
    except OSError as failure:
        raise SystemExit(f"cannot write the report: {failure}") from None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="migrate_legacy")
    parser.add_argument("--dry-run", action="store_true", help="keep nothing")
    parser.add_argument("--report-json", type=Path)
    parser.add_argument("--report-csv", type=Path)
    return parser.parse_args()


def _engine(variable: str) -> sa.Engine:
    url = os.environ.get(variable)
    if not url:
        raise SystemExit(f"RuntimeError: {variable} is not set")
    readable = functools.partial(json.dumps, default=str, ensure_ascii=False)
    return sa.create_engine(url, poolclass=sa.NullPool, json_serializer=readable)


def _write(options: argparse.Namespace, run: Run, began: datetime) -> None:
    domains = {name: asdict(totals) for name, totals in sorted(run.domains.items())}
    names = list(asdict(Totals()))
    report = {
        "dry_run": options.dry_run,
        "started_at": began.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "totals": {name: sum(each[name] for each in domains.values()) for name in names},
        "domains": domains,
        "errors": run.errors,
    }
    if options.report_json:
        text = json.dumps(report, ensure_ascii=False, indent=2)
        options.report_json.write_text(text + "\n", encoding="utf-8")
    if options.report_csv:
        lines = io.StringIO()
        table = csv.DictWriter(lines, ["domain", *names], lineterminator="\n")
        table.writeheader()
        table.writerows({"domain": name, **totals} for name, totals in domains.items())
        options.report_csv.write_text(lines.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main()
