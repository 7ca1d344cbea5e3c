"""Damage to the schema, done in SQL to the restored backup, which is then dumped again.

Belongs here: mutants whose dump file is whole and holds every row, but not every definition. Each
is a query that makes statements; the first that the server accepts is the damage. Not here: rows
and values (``contents``), how it is run (``statements``).
"""

from __future__ import annotations

from kajovo_dr.backups.zoo.mutants import BOTH, Family
from kajovo_dr.backups.zoo.statements import through_sql

FAMILY = Family()
_CONSTRAINTS = (
    "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', t.name, conname) FROM pg_constraint"
    " JOIN zoo_tables t ON t.oid = conrelid"
)


def _definition(
    name: str, query: str, *, imitates: str, lacks: str, rung: str = "schema_equal"
) -> None:
    FAMILY.mutant(name, BOTH, rung=rung, imitates=imitates)(through_sql(query, lacks))


_definition(
    "table-dropped",
    "SELECT format('DROP TABLE %s CASCADE', name) FROM zoo_tables ORDER BY size, name",
    rung="rows",
    imitates="a bad migration, or a dump with a pattern of tables",
    lacks="no table",
)
_definition(
    "column-dropped",
    "SELECT format('ALTER TABLE %s DROP COLUMN %I', name, attname) FROM zoo_texts"
    " ORDER BY size DESC, name, attname",
    rung="content_equal",
    imitates="a bad migration",
    lacks="no column of text is free of keys, indexes and constraints",
)
_definition(
    "index-dropped",
    "SELECT format('DROP INDEX %s', indexrelid::regclass) FROM pg_index"
    " JOIN zoo_tables t ON t.oid = indrelid"
    " WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) ORDER BY 1",
    imitates="an index build that failed and was never repeated",
    lacks="no index but those of constraints",
)
_definition(
    "primary-key-dropped",
    _CONSTRAINTS + " WHERE contype = 'p' ORDER BY 1",
    imitates="duplicates kept the key from being built",
    lacks="no primary key",
)
_definition(
    "foreign-key-dropped",
    _CONSTRAINTS + " WHERE contype = 'f' ORDER BY 1",
    imitates="orphans kept the foreign key from being built",
    lacks="no foreign key",
)
_definition(
    "check-dropped",
    _CONSTRAINTS + " WHERE contype = 'c' ORDER BY 1",
    imitates="a bad migration",
    lacks="no check constraint",
)
_definition(
    "column-type-changed",
    "SELECT format('ALTER TABLE %s ALTER %I TYPE %s', t.name, attname,"
    " CASE atttypid WHEN 'int4'::regtype THEN 'bigint' ELSE 'text' END)"
    " FROM zoo_tables t JOIN pg_attribute ON attrelid = t.oid WHERE attnum > 0"
    " AND NOT attisdropped AND attgenerated = '' AND attidentity = ''"
    " AND atttypid IN ('int4'::regtype, 'varchar'::regtype) ORDER BY size, t.name, attnum",
    imitates="a migration that was half rolled back",
    lacks="no column of integer or varchar that may change",
)
_definition(
    "default-changed",
    "SELECT format('ALTER TABLE %s ALTER %I SET DEFAULT %L', name, attname, 'kajovo_dr')"
    " FROM zoo_texts ORDER BY size, name, attname",
    imitates="a migration that was half rolled back",
    lacks="no column of text is free of keys, indexes and constraints",
)
_definition(
    "not-null-dropped",
    "SELECT format('ALTER TABLE %s ALTER %I DROP NOT NULL', t.name, attname)"
    " FROM zoo_tables t JOIN pg_attribute a ON attrelid = t.oid WHERE attnum > 0 AND attnotnull"
    " AND NOT attisdropped AND attidentity = '' AND NOT EXISTS (SELECT FROM pg_index"
    " WHERE indrelid = t.oid AND indisprimary AND a.attnum = ANY (indkey))"
    " ORDER BY size, t.name, attnum",
    imitates="a bad migration",
    lacks="no column is NOT NULL outside a primary key",
)
_definition(
    "trigger-dropped",
    "SELECT format('DROP TRIGGER %I ON %s', tgname, t.name) FROM pg_trigger"
    " JOIN zoo_tables t ON t.oid = tgrelid WHERE NOT tgisinternal ORDER BY 1",
    imitates="a trigger was disabled for a load and never came back",
    lacks="no trigger",
)
_definition(
    "function-dropped",
    "SELECT format('DROP %s %s CASCADE', CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION'"
    " END, p.oid::regprocedure) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
    " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND prokind IN ('f', 'p')"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass"
    " AND d.objid = p.oid AND d.deptype = 'e') ORDER BY 1",
    imitates="a function was left out of the dump",
    lacks="no function",
)
_definition(
    "view-dropped",
    "SELECT format('DROP VIEW %s', c.oid::regclass) FROM pg_class c JOIN pg_namespace n"
    " ON n.oid = relnamespace WHERE relkind = 'v' AND n.nspname !~ '^pg_'"
    " AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d"
    " WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1",
    imitates="a view was left out of the dump",
    lacks="no view on which nothing else depends",
)
_definition(
    "policy-dropped",
    "SELECT format('DROP POLICY %I ON %s', polname, t.name) FROM pg_policy"
    " JOIN zoo_tables t ON t.oid = polrelid ORDER BY 1",
    imitates="a restored database shows its rows to everybody, or to nobody",
    lacks="no policy",
)
_definition(
    "row-security-disabled",
    "SELECT format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', t.name) FROM zoo_tables t"
    " JOIN pg_class c USING (oid) WHERE relrowsecurity ORDER BY 1",
    imitates="a restored database shows its rows to everybody",
    lacks="no table has row-level security",
)
_definition(
    "enum-value-added",
    "SELECT format('ALTER TYPE %s ADD VALUE %L', t.oid::regtype, 'kajovo_dr') FROM pg_type t"
    " JOIN pg_namespace n ON n.oid = typnamespace WHERE typtype = 'e' AND n.nspname !~ '^pg_'"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass"
    " AND d.objid = t.oid AND d.deptype = 'e') ORDER BY 1",
    imitates="the dump is of a later state of the schema",
    lacks="no enumerated type",
)
