"""Dump files that are whole, but made in another way, or of another database.

Belongs here: mutants made by pg_dump's own options, by another role, or from what the scratch
server has not got. Not here: damage through SQL that leaves the way of dumping alone (``contents``,
``structure``).
"""

from __future__ import annotations

from psycopg import Error as PsycopgError
from psycopg import sql

from kajovo_dr.backups.zoo.bench import Bench
from kajovo_dr.backups.zoo.mutants import BOTH, Damage, Family, vouched
from kajovo_dr.backups.zoo.specimen import NotApplicable, Specimen
from kajovo_dr.backups.zoo.statements import looking, through_sql
from kajovo_dr.postgres import databases

FAMILY = Family()
_ROLE = "kajovo_dr_zoo"
#: Another database: large enough to be taken for a dump.
_STRANGER = "CREATE TABLE public.stranger AS SELECT i, 'jiná data' AS t FROM generate_series(1,9) i"


def _with_options(*options: str) -> Damage:
    @vouched
    def damage(specimen: Specimen) -> None:
        _need_rows(specimen)
        specimen.bench.dump(specimen.bench.base, specimen.kind, specimen.path, *options)

    return damage


def _need_rows(specimen: Specimen) -> None:
    if not specimen.manifest.rows:
        raise NotApplicable("no table has rows")


FAMILY.mutant("schema-only", BOTH, rung="rows", imitates="the dump was taken with --schema-only")(
    _with_options("--schema-only")
)
FAMILY.mutant("data-only", BOTH, rung="restores", imitates="the dump was taken with --data-only")(
    _with_options("--data-only")
)
FAMILY.mutant(
    "without-post-data",
    BOTH,
    rung="schema_equal",
    imitates="the dump was taken without its last section: no key, no index, no trigger",
)(_with_options("--section=pre-data", "--section=data"))


@FAMILY.mutant(
    "another-databases-dump", BOTH, rung="size", imitates="a file of another system took its place"
)
def another_databases_dump(specimen: Specimen) -> None:
    bench = specimen.bench
    with bench.empty() as other:
        with databases.connect(other) as session:
            session.execute(_STRANGER)
        bench.dump(other, specimen.kind, specimen.path)


@FAMILY.mutant(
    "another-databases-dump-vouched",
    BOTH,
    rung="rows",
    imitates="the URL named another database when the dump was taken",
)
@vouched
def another_databases_dump_vouched(specimen: Specimen) -> None:
    _need_rows(specimen)
    another_databases_dump(specimen)


@FAMILY.mutant(
    "yesterdays-dump", BOTH, rung="size", imitates="yesterday's dump under today's manifest"
)
def yesterdays_dump(specimen: Specimen) -> None:
    bench = specimen.bench
    with bench.clone() as clone:
        with looking(bench, clone) as session:
            deletes = session.execute(
                "SELECT format('DELETE FROM ONLY %s', name) FROM zoo_tables ORDER BY size DESC"
            ).fetchall()
            for (delete,) in deletes[:1]:
                session.execute(delete.encode())
        bench.dump(clone, specimen.kind, specimen.path)
    if specimen.path.stat().st_size == specimen.manifest.size_bytes:
        raise NotApplicable("yesterday's dump happens to have today's size")


@FAMILY.mutant(
    "rows-hidden-by-row-security",
    BOTH,
    rung="rows",
    imitates="a role that may not see every row took the dump",
)
@vouched
def rows_hidden(specimen: Specimen) -> None:
    bench = specimen.bench
    with bench.role(_ROLE):
        _require_hidden_rows(bench)
        options = ("--enable-row-security", f"--role={_ROLE}")
        bench.dump(bench.base, specimen.kind, specimen.path, *options)


def _require_hidden_rows(bench: Bench) -> None:
    """Raise `NotApplicable` unless row-level security hides a row from the role."""
    with bench.clone() as clone, looking(bench, clone) as session:
        protected = session.execute(
            "SELECT format('SELECT count(*) FROM ONLY %s', name) FROM zoo_tables"
            " JOIN pg_class USING (oid) WHERE relrowsecurity"
        ).fetchall()
        for (query,) in protected:
            count = query.encode()
            everything = session.execute(count).fetchone()
            try:
                with session.transaction():
                    session.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(_ROLE)))
                    visible = session.execute(count).fetchone()
            except PsycopgError:
                continue  # a policy that this role may not even ask
            if visible != everything:
                return
    raise NotApplicable("no row that row-level security hides")


@FAMILY.mutant(
    "role-missing", BOTH, rung="restores", imitates="the file of roles is of another server"
)
@vouched
def role_missing(specimen: Specimen) -> None:
    bench = specimen.bench
    with bench.role(_ROLE), bench.clone() as clone:
        with looking(bench, clone) as session:
            found = session.execute("SELECT name FROM zoo_tables ORDER BY size LIMIT 1").fetchone()
            if found is None:
                raise NotApplicable("no table")
            owned = f"ALTER TABLE {found[0]} OWNER TO {_ROLE}"
            session.execute(owned.encode())
        bench.dump(clone, specimen.kind, specimen.path)


# pg_dump leaves out what has an oid below 16384: those are of initdb
FAMILY.mutant(
    "extension-missing",
    BOTH,
    rung="restores",
    imitates="the source had an extension that no package here provides",
)(
    through_sql(
        "SELECT 'INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable,"
        " extversion) SELECT greatest(max(oid)::bigint, 16384) + 1, ''kajovo_dr_unknown'', 10,"
        " ''public''::regnamespace, true, ''1.0'' FROM pg_extension'",
        "only a superuser of the scratch server can pretend one",
    )
)
