"""Catalog queries of relations and of what hangs on them: indexes, constraints, triggers, rules.

Belongs here: queries that give (kind, name, facts, wording), see ``schema_objects``. Not here:
functions and types (``schema_routines``), kinds that few databases have (``schema_rare``).
"""
# ruff: noqa: S608 - SQL of constants only

from __future__ import annotations

from kajovo_dr.postgres.schema_sql import SCHEMA, acl, arranged, gathered, granted, own, parts

#: Arrays of names are ordered by the catalog's position where a restore keeps it.
QUERIES = (
    f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
    WHEN 'f' THEN 'foreign table' ELSE 'table' END,
    format('%I.%I', n.nspname, c.relname),
    ROW(c.relkind, c.relpersistence, c.relowner::regrole, {arranged("c.reloptions")},
        (SELECT {arranged("o.reloptions")} FROM pg_class o WHERE o.oid = c.reltoastrelid),
        (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam), c.reloftype::regtype,
        c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispopulated,
        {acl("c.relacl", "r", "c.relowner")},
        (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
            FROM pg_inherits i WHERE i.inhrelid = c.oid),
        (SELECT string_agg(ROW(quote_ident(a.attname),
                format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                {arranged("a.attoptions")}, a.attcollation::regcollation,
                nullif(a.attstattarget, -1), a.attstorage, nullif(a.attcompression, ''),
                {arranged("a.attfdwoptions")}, {granted("a.attacl")})::text, ', '
            -- a child's columns change places when the parent's were added later
            ORDER BY CASE WHEN NOT c.relispartition AND EXISTS
                (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) THEN 0 ELSE a.attnum END,
                a.attname COLLATE "C")
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
            AND NOT a.attisdropped),
        (SELECT ROW(f.srvname, {arranged("t.ftoptions")})::text FROM pg_foreign_table t
            JOIN pg_foreign_server f ON f.oid = t.ftserver WHERE t.ftrelid = c.oid),
        (SELECT ROW(p.partstrat, (SELECT string_agg(coalesce(quote_ident(a.attname), '()'), ','
                ORDER BY o.n) FROM unnest(p.partattrs::int2[]) WITH ORDINALITY o(k, n)
                LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = o.k))::text
            FROM pg_partitioned_table p WHERE p.partrelid = c.oid))::text,
    {
        parts(
            "pg_get_partkeydef(c.oid)",
            "pg_get_expr(c.relpartbound, c.oid)",
            "CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END",
            f'''(SELECT {
                gathered(
                    "concat(quote_ident(a.attname), ' ', pg_get_expr(d.adbin, c.oid))", "a.attname"
                )
            } FROM pg_attrdef d JOIN pg_attribute a
                ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = c.oid)''',
        )
    }
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relpersistence <> 't' AND {SCHEMA}
AND {own("c", "pg_class")}""",
    f"""
SELECT 'sequence', format('%I.%I', n.nspname, c.relname),
    ROW(format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin,
        s.seqcache, s.seqcycle, c.relowner::regrole, c.relpersistence,
        {acl("c.relacl", "s", "c.relowner")},
        (SELECT concat(d.refobjid::regclass, '.', quote_ident(a.attname), ' ', d.deptype)
            FROM pg_depend d JOIN pg_attribute a
            ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))::text, NULL
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND {SCHEMA} AND {own("c", "pg_class")}""",
    f"""
SELECT 'index', format('%I.%I', n.nspname, c.relname),
    ROW(i.indrelid::regclass, i.indisunique, i.indisprimary, i.indisexclusion,
        i.indisclustered, i.indisreplident, am.amname, i.indnkeyatts, {arranged("c.reloptions")},
        coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false'),  -- new in 15
        (SELECT string_agg(concat(a.attnum, '=', a.attstattarget), ',' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0),
        -- an expression has no name; bits of the option: DESC, NULLS FIRST
        (SELECT string_agg(ROW(quote_ident(a.attname), i.indoption[(o.n - 1)::int])::text, ','
            ORDER BY o.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY o(k, n)
            LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = o.k))::text,
    pg_get_indexdef(c.oid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = i.indrelid
WHERE (i.indisvalid OR t.relkind = 'p') AND i.indisready AND t.relpersistence <> 't'
AND {SCHEMA} AND {own("t", "pg_class")}""",
    f"""
SELECT 'constraint', concat(CASE WHEN k.contypid <> 0 THEN k.contypid::regtype::text
        ELSE k.conrelid::regclass::text END, '.', quote_ident(k.conname)),
    ROW(k.contype, k.condeferrable, k.condeferred, k.convalidated, k.confupdtype,
        k.confdeltype, k.confmatchtype, k.contype = 'c' AND k.connoinherit,
        CASE WHEN k.confrelid <> 0 THEN k.confrelid::regclass END,
        (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY o.n) FROM unnest(k.conkey)
            WITH ORDINALITY o(k, n) JOIN pg_attribute a
            ON a.attrelid = k.conrelid AND a.attnum = o.k WHERE k.contype <> 'c'),
        (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY a.attname COLLATE "C")
            FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
            AND k.contype = 'c'),
        (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY o.n) FROM unnest(k.confkey)
            WITH ORDINALITY o(k, n) JOIN pg_attribute a
            ON a.attrelid = k.confrelid AND a.attnum = o.k),
        (SELECT string_agg(ROW(x.oprnamespace::regnamespace, x.oprname)::text, ',' ORDER BY o.n)
            FROM unnest(k.conexclop) WITH ORDINALITY o(op, n)
            JOIN pg_operator x ON x.oid = o.op))::text,
    pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
LEFT JOIN pg_class t ON t.oid = k.conrelid
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND {SCHEMA}
AND coalesce(t.relpersistence, 'p') <> 't' AND {own("k", "pg_constraint")}
AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.deptype = 'e' AND (
    x.classid = 'pg_class'::regclass AND x.objid = k.conrelid
    OR x.classid = 'pg_type'::regclass AND x.objid = k.contypid))""",
    f"""
SELECT 'trigger', format('%s.%I', g.tgrelid::regclass, g.tgname),
    ROW(g.tgenabled, g.tgtype, g.tgfoid::regproc, g.tgdeferrable, g.tginitdeferred,
        encode(g.tgargs, 'hex'), g.tgoldtable, g.tgnewtable, g.tgconstrrelid::regclass,
        (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY a.attname COLLATE "C")
            FROM pg_attribute a WHERE a.attrelid = g.tgrelid
            AND a.attnum = ANY (g.tgattr::int2[])))::text,
    pg_get_triggerdef(g.oid)
FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND {SCHEMA} AND {own("g", "pg_trigger")}""",
    f"""
SELECT 'policy', format('%s.%I', p.polrelid::regclass, p.polname),
    ROW(p.polcmd, p.polpermissive, p.polqual IS NULL, p.polwithcheck IS NULL, (SELECT string_agg(
        CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END, ','
        ORDER BY r::regrole::text COLLATE "C") FROM unnest(p.polroles) r))::text,
    {parts("pg_get_expr(p.polqual, p.polrelid)", "pg_get_expr(p.polwithcheck, p.polrelid)")}
FROM pg_policy p JOIN pg_class t ON t.oid = p.polrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE {SCHEMA} AND {own("t", "pg_class")}""",
    f"""
SELECT 'rule', format('%s.%I', r.ev_class::regclass, r.rulename),
    ROW(r.ev_type, r.ev_enabled, r.is_instead)::text, pg_get_ruledef(r.oid)
FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE r.rulename <> '_RETURN' AND {SCHEMA} AND {own("r", "pg_rewrite")}""",
)
