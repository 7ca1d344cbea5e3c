"""Damage to rows and sequences, done in SQL to the restored backup, which is then dumped again.

Belongs here: mutants whose dump file is whole and well-formed but holds other rows or values than
the manifest promises. Each is a query that makes statements; the first of them that changes
something is the damage. Not here: the schema (``structure``), how it is run (``statements``).
"""

from __future__ import annotations

from kajovo_dr.backups.zoo.bench import Bench
from kajovo_dr.backups.zoo.mutants import BOTH, Family
from kajovo_dr.backups.zoo.specimen import NotApplicable
from kajovo_dr.backups.zoo.statements import looking, through_sql

FAMILY = Family()
_NO_ROWS = "no table has rows"
_NO_TEXT = "no column of text is free of keys, indexes and constraints"


def _content(name: str, query: str, *, rung: str, imitates: str, lacks: str) -> None:
    FAMILY.mutant(name, BOTH, rung=rung, imitates=imitates)(through_sql(query, lacks))


_content(
    "row-deleted",
    "SELECT format('DELETE FROM ONLY %1$s WHERE ctid = (SELECT ctid FROM ONLY %1$s LIMIT 1)', name)"
    " FROM zoo_tables ORDER BY size, name",
    rung="rows",
    imitates="a row was lost between the source and the dump",
    lacks=_NO_ROWS,
)
_content(
    "row-duplicated",
    "SELECT format('%1$s INSERT INTO %2$s (%3$s) OVERRIDING SYSTEM VALUE"
    " SELECT %3$s FROM ONLY %2$s LIMIT 1', (SELECT string_agg(format("
    "'ALTER TABLE %s DROP CONSTRAINT %I CASCADE;', t.name, conname), '') FROM pg_constraint"
    " WHERE conrelid = t.oid AND contype IN ('p', 'u', 'x')), t.name, t.columns)"
    " FROM zoo_tables t WHERE columns <> '' ORDER BY keyed, size, name",
    rung="rows",
    imitates="a row was written twice into a table whose key was lost",
    lacks=_NO_ROWS,
)
_content(
    "table-emptied",
    "SELECT format('DELETE FROM ONLY %s', name) FROM zoo_tables ORDER BY size, name",
    rung="rows",
    imitates="a table was emptied before the dump",
    lacks=_NO_ROWS,
)
_content(
    "yesterdays-dump-vouched",
    "SELECT format('DELETE FROM ONLY %1$s WHERE ctid IN (SELECT ctid FROM ONLY %1$s ORDER BY ctid"
    " DESC LIMIT (SELECT ceil(count(*) / 10.0) FROM ONLY %1$s))', name)"
    " FROM zoo_tables ORDER BY size DESC, name",
    rung="rows",
    imitates="yesterday's dump under today's manifest, its digest made to fit",
    lacks=_NO_ROWS,
)
_content(
    "value-changed",
    "SELECT format('UPDATE ONLY %1$s SET %2$I = overlay(%2$I PLACING CASE WHEN left(%2$I, 1) ="
    " ''x'' THEN ''y'' ELSE ''x'' END FROM 1 FOR 1) WHERE ctid = (SELECT ctid FROM ONLY %1$s"
    " WHERE ascii(%2$I) BETWEEN 33 AND 126 LIMIT 1)', name, attname) FROM zoo_texts"
    " ORDER BY size, name, attname",
    rung="content_equal",
    imitates="one value was changed, and nothing became longer or shorter",
    lacks=_NO_TEXT,
)
_content(
    "values-swapped-between-rows",
    "SELECT format('UPDATE ONLY %1$s x SET %2$I = CASE x.ctid WHEN a.ctid THEN b.%2$I ELSE a.%2$I"
    " END FROM (SELECT ctid, %2$I FROM ONLY %1$s WHERE %2$I IS NOT NULL ORDER BY %2$I LIMIT 1) a,"
    " (SELECT ctid, %2$I FROM ONLY %1$s WHERE %2$I IS NOT NULL ORDER BY %2$I DESC LIMIT 1) b"
    " WHERE x.ctid IN (a.ctid, b.ctid) AND a.%2$I <> b.%2$I', name, attname) FROM zoo_texts"
    " WHERE keyed ORDER BY size, name, attname",
    rung="content_equal",
    imitates="two rows got each other's value: sums over single columns stay the same",
    lacks=_NO_TEXT,
)
_content(
    "rows-swapped-between-twins",
    "SELECT format('CREATE TEMP TABLE zoo_a AS SELECT * FROM ONLY %1$s ORDER BY ctid LIMIT 1;"
    " CREATE TEMP TABLE zoo_b AS SELECT * FROM ONLY %2$s ORDER BY ctid LIMIT 1;"
    " DELETE FROM ONLY %1$s WHERE ctid = (SELECT min(ctid) FROM ONLY %1$s);"
    " DELETE FROM ONLY %2$s WHERE ctid = (SELECT min(ctid) FROM ONLY %2$s);"
    " INSERT INTO %1$s OVERRIDING SYSTEM VALUE SELECT * FROM zoo_b; INSERT INTO %2$s OVERRIDING"
    " SYSTEM VALUE SELECT * FROM zoo_a WHERE EXISTS (TABLE zoo_a EXCEPT TABLE zoo_b)"
    " AND EXISTS (TABLE zoo_b)', a.name, b.name)"
    " FROM zoo_tables a JOIN zoo_tables b ON a.types = b.types AND a.name < b.name"
    " WHERE a.types <> '' AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f'"
    " AND (conrelid IN (a.oid, b.oid) OR confrelid IN (a.oid, b.oid))) ORDER BY a.size, 1",
    rung="content_equal",
    imitates="two rows of tables of one shape changed places",
    lacks="no two tables of the same shape have rows and no foreign key",
)
_content(
    "mojibake-of-cp852",
    "SELECT format('UPDATE ONLY %1$s SET %2$I = translate(convert_from(convert_to(%2$I, ''UTF8''),"
    " ''LATIN1''), zoo_page.latin1, zoo_page.cp852) FROM zoo_page"
    " WHERE octet_length(%2$I) > length(%2$I)', name, attname) FROM zoo_texts WHERE unlimited"
    " ORDER BY size, name, attname",
    rung="content_equal",
    imitates="text went through a console of code page 852; every count stays the same",
    lacks="no free column of text holds a character that is not ASCII",
)
_content(
    "sequence-reset",
    "SELECT format('SELECT setval(%L::regclass, %s, false)', format('%I.%I', schemaname,"
    " sequencename), start_value) FROM pg_sequences WHERE last_value IS NOT NULL"
    " AND schemaname !~ '^pg_' ORDER BY schemaname, sequencename",
    rung="sequences_equal",
    imitates="the next row gets the key of an old one",
    lacks="no sequence was ever used",
)


def longest_text(bench: Bench) -> str:
    """The longest value that begins with a letter and stands in a dump as it is, in a column that
    no constraint restricts: easily found in a file, and no other check than the hash sees it.
    """
    with bench.clone() as clone, looking(bench, clone) as session:
        columns = session.execute(
            "SELECT format('SELECT %1$I FROM ONLY %2$s WHERE %1$I ~ ''^[B-Yb-y]'' AND %1$I !~"
            " ''[[:cntrl:]\\\\]'' ORDER BY length(%1$I) DESC LIMIT 1', attname, name)"
            " FROM zoo_texts ORDER BY size, name, attname"
        ).fetchall()
        for (query,) in columns:
            if (row := session.execute(query.encode()).fetchone()) is not None:
                return str(row[0])
    raise NotApplicable(_NO_TEXT)
