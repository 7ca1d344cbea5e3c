"""How damage through SQL is done: a clone, the first statement that changes something, a new dump.

Belongs here: what the queries of ``contents`` and ``structure`` may look at, and running them. Not
here: those queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from kajovo_dr.backups.zoo.bench import Bench
from kajovo_dr.backups.zoo.mutants import Damage, vouched
from kajovo_dr.backups.zoo.specimen import NotApplicable, Specimen
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server

#: Temporary views vanish with the session, so that no dump holds them. zoo_tables: tables whose
#: rows are hashed one by one, name quoted; columns: those that an INSERT may name; zoo_texts:
#: columns of text that no key, index or constraint knows.
_VIEWS = """
CREATE TEMP TABLE zoo_sampled (schema text, name text);
CREATE TEMP TABLE zoo_page (latin1 text, cp852 text);
CREATE TEMP VIEW zoo_tables AS
SELECT c.oid, c.oid::regclass::text AS name, pg_relation_size(c.oid) AS size,
    EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisunique) AS keyed,
    (SELECT coalesce(string_agg(quote_ident(attname), ', ' ORDER BY attnum), '') FROM pg_attribute
     WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns,
    (SELECT coalesce(string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum), '')
     FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS types
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition
AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND (n.nspname, c.relname) NOT IN (SELECT s.schema, s.name FROM zoo_sampled s)
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
    AND d.objid = c.oid AND d.deptype = 'e');
CREATE TEMP VIEW zoo_texts AS
SELECT t.*, a.attname, a.atttypmod = -1 AS unlimited
FROM zoo_tables t JOIN pg_attribute a ON a.attrelid = t.oid
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('text'::regtype, 'varchar'::regtype)
AND NOT EXISTS (SELECT FROM pg_attribute g WHERE g.attrelid = t.oid AND g.attgenerated <> '')
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = t.oid AND contype <> 'n'
    AND a.attnum = ANY (conkey))
AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid
    AND (a.attnum = ANY (indkey) OR indexprs IS NOT NULL OR indpred IS NOT NULL));
"""
_HIGH = bytes(range(0x80, 0x100))


def through_sql(query: str, lacks: str) -> Damage:
    """The damage that a query's statements do: they are tried until one changes something.

    lacks: what this database has not got when none does.
    """

    @vouched
    def damage(specimen: Specimen) -> None:
        bench = specimen.bench
        with bench.clone() as clone:
            with looking(bench, clone) as session:
                statements = session.execute(query.encode()).fetchall()
                if not any(_changes(session, statement) for (statement,) in statements):
                    raise NotApplicable(lacks)
            bench.dump(clone, specimen.kind, specimen.path)

    return damage


@contextmanager
def looking(bench: Bench, clone: Server) -> Iterator[databases.Connection]:
    """A session in a clone that has the views; triggers and foreign keys do not act in it."""
    with databases.connect(clone) as session:
        session.execute("SET session_replication_role = replica; SET search_path = ''")
        session.execute(_VIEWS)
        session.execute(
            "INSERT INTO zoo_page VALUES (%s, %s)", [_HIGH.decode("latin-1"), _HIGH.decode("cp852")]
        )
        for schema, name in bench.sampled:
            session.execute("INSERT INTO zoo_sampled VALUES (%s, %s)", [schema, name])
        yield session


def _changes(session: databases.Connection, statement: str) -> bool:
    """Run one candidate, of which the last statement decides; nothing of a vain one stays."""
    changed = False
    try:
        with session.transaction():
            cursor = session.execute(statement.encode())
            while cursor.nextset():
                pass
            changed = cursor.rowcount != 0
            if not changed:
                raise psycopg.Rollback
    except psycopg.Error:
        return False
    return changed
