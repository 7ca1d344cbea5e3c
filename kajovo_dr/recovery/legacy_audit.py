"""The table in which a migration of legacy data records what it has imported, and believes itself.

A row that it finds there is skipped for ever. When the table survives a restore that took the
imported rows away, the next run reports that all is well and imports nothing.

Belongs here: comparing the records with the tables that they speak of, and what they note. Not
here: the tool's own report (``legacy_verdict``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from kajovo_dr.errors import LegacyFailed
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.legacy_report import cut
from kajovo_dr.settings import Settings

#: A table without this part of its imported rows lost them to no user of the application.
_LOST = 0.5
#: Notes of the tool that are told.
_NOTES = 10


@dataclass(frozen=True)
class Target:
    """A table that rows were imported into. lost: records whose row is not there; None: nobody can
    tell, because it has no key of one column.
    """

    recorded: int
    lost: int | None


@dataclass(frozen=True)
class Audit:
    """rows: records in all; 0 when there is no such table. notes: what the tool says of rows."""

    rows: int = 0
    targets: Mapping[str, Target] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def look(settings: Settings, server: Server) -> Audit:
    """Read the records and compare them with the tables; raises `LegacyFailed` for a table that
    is no such audit.
    """
    schema, _, name = settings.legacy_audit_table.rpartition(".")
    with databases.connect(server) as connection:
        audit = _resolved(connection, schema, name)
        if audit is None:
            return Audit()
        columns = _columns(connection, audit)
        if missing := {"target_table", "target_pk"} - columns:
            raise LegacyFailed(
                f"the table {settings.legacy_audit_table} has no column {sorted(missing)[0]}",
                hint="KAJOVO_DR_LEGACY_AUDIT_TABLE must name the table in which migrate_legacy "
                "records what it has imported.",
            )
        recorded = _all(
            connection, "SELECT target_table::text, count(*) FROM {} GROUP BY 1 ORDER BY 1", audit
        )
        return Audit(
            rows=sum(count for _, count in recorded),
            targets={
                str(table): _target(connection, audit, table, count) for table, count in recorded
            },
            notes=_notes(connection, audit) if {"domain", "mapping_note"} <= columns else (),
        )


def judge_before(audit: Audit, table: str) -> tuple[str, ...]:
    """Before anything is imported: raises `LegacyFailed` when rows are recorded that do not exist.

    A few may have been deleted in the application since: that is told.
    """
    notes = []
    for name, target in audit.targets.items():
        if target.lost is None:
            notes.append(f"imported rows of {cut(name)} cannot be looked for: it has no simple key")
        elif target.lost >= _LOST * target.recorded:
            raise LegacyFailed(
                f"{table} records {target.recorded} rows imported into {cut(name)}, "
                f"{target.lost} of them do not exist: they would be skipped for ever",
                hint=f"delete these records from {table} of the restored database, so that they "
                "are imported again; or unset KAJOVO_DR_LEGACY_URL when they were deleted on "
                "purpose.",
            )
        elif target.lost:
            notes.append(
                f"{target.lost} of {target.recorded} rows imported into {cut(name)} are gone, "
                "deleted since they were imported, and are not imported again"
            )
    return tuple(notes)


def judge_after(before: Audit, after: Audit, imported: int, table: str) -> None:
    """After a real run that reports so many rows: they must be recorded, and exist."""
    recorded = after.rows - before.rows
    if recorded < imported:
        raise LegacyFailed(
            f"migrate_legacy reports {imported} rows imported, {table} has {recorded} more",
            hint="look whether it commits what it imports, and whether its table of records is "
            "KAJOVO_DR_LEGACY_AUDIT_TABLE.",
        )
    for name, target in after.targets.items():
        earlier = before.targets.get(name, Target(0, 0))
        if (target.lost or 0) > (earlier.lost or 0):
            raise LegacyFailed(
                f"migrate_legacy has recorded {target.recorded} rows in {cut(name)}, "
                f"{target.lost} of them do not exist",
                hint="mend migrate_legacy: what it records must be what it imports.",
            )


def _target(
    connection: databases.Connection, audit: sql.Identifier, name: str | None, count: int
) -> Target:
    """Tables that do not exist have lost everything."""
    schema, _, table = (name or "").rpartition(".")
    target = _resolved(connection, schema, table) if table else None
    if target is None:
        return Target(count, count)
    key = _all(
        connection,
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
        " AND a.attnum = ANY(i.indkey) WHERE i.indisprimary AND i.indrelid = {}::regclass",
        sql.Literal(target.as_string(connection)),
    )
    if len(key) != 1:
        return Target(count, None)
    [(lost,)] = _all(
        connection,
        "SELECT count(*) FROM {} a WHERE a.target_table::text = {} AND NOT EXISTS"
        " (SELECT FROM {} t WHERE t.{}::text = a.target_pk::text)",
        *(audit, sql.Literal(name), target, sql.Identifier(key[0][0])),
    )
    return Target(count, lost)


def _notes(connection: databases.Connection, audit: sql.Identifier) -> tuple[str, ...]:
    """What the tool notes of several rows; a note that one row alone has may be personal."""
    found = _all(
        connection,
        "SELECT domain::text, mapping_note::text, count(*) FROM {} WHERE mapping_note IS NOT NULL"
        " AND mapping_note::text <> '' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
        audit,
    )
    shared = [(domain, note, count) for domain, note, count in found if count > 1][:_NOTES]
    told = [cut(f"{domain}: {note} ({count} rows)") for domain, note, count in shared]
    others = sum(count for *_, count in found) - sum(count for *_, count in shared)
    return (*told, *([f"other notes: {others} rows"] if others else []))


def _columns(connection: databases.Connection, table: sql.Identifier) -> set[str]:
    query = "SELECT attname FROM pg_attribute WHERE attrelid = {}::regclass AND attnum > 0"
    name = sql.Literal(table.as_string(connection))
    return {column for (column,) in _all(connection, query, name)}


def _resolved(connection: databases.Connection, schema: str, name: str) -> sql.Identifier | None:
    """The quoted name of a table that exists; without a schema it is looked for in public."""
    table = sql.Identifier(schema or "public", name)
    found = connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone()
    return table if found != (None,) else None


def _all(
    connection: databases.Connection, query: str, *parts: sql.Composable
) -> list[tuple[Any, ...]]:
    return connection.execute(sql.SQL(query).format(*parts)).fetchall()
