"""Catalog queries of schemas, functions, types, default privileges and comments.

Belongs here: queries that give (kind, name, facts, wording), see ``schema_objects``. Not here:
relations (``schema_tables``), kinds that few databases have (``schema_rare``).
"""
# ruff: noqa: S608 - SQL of constants only

from __future__ import annotations

from kajovo_dr.postgres.schema_sql import (
    FIRST_OWN,
    SCHEMA,
    acl,
    arranged,
    exact,
    granted,
    own,
    parts,
)

QUERIES = (
    f"""
SELECT 'schema', format('%I', n.nspname),
    CASE WHEN n.nspname <> 'public' THEN ROW(n.nspowner::regrole,
        {acl("n.nspacl", "n", "n.nspowner")})::text END,
    {acl("n.nspacl", "n", "n.nspowner")}
FROM pg_namespace n WHERE {SCHEMA} AND NOT EXISTS (SELECT FROM pg_depend x WHERE
    x.classid = 'pg_namespace'::regclass AND x.objid = n.oid AND x.deptype = 'e')""",
    # columns of the snapshot: pg_get_functiondef tells what a function is by now
    f"""
SELECT CASE f.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END,
    format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
    ROW(f.prokind, l.lanname, {exact("f.prosrc")}, f.probin, format_type(f.prorettype, NULL),
        f.proretset, f.provolatile, f.proisstrict, f.prosecdef, f.proleakproof, f.proparallel,
        f.procost, f.prorows, {arranged("f.proconfig")}, f.proowner::regrole, f.proargnames,
        f.proargmodes, f.pronargdefaults, f.prosupport::regproc,
        (SELECT string_agg(format_type(o.t, NULL), ',' ORDER BY o.n)
            FROM unnest(coalesce(f.proallargtypes, f.proargtypes::oid[])) WITH ORDINALITY o(t, n)),
        (SELECT string_agg(format_type(o.t, NULL), ',' ORDER BY o.n)
            FROM unnest(f.protrftypes) WITH ORDINALITY o(t, n)),
        {acl("f.proacl", "f", "f.proowner")},
        (SELECT ROW(g.aggkind, g.aggnumdirectargs, g.aggtransfn, g.aggfinalfn, g.aggcombinefn,
            g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn,
            g.aggfinalextra, g.aggmfinalextra, g.aggfinalmodify, g.aggmfinalmodify,
            g.aggsortop::regoperator, g.aggtransspace, g.aggmtransspace, g.agginitval,
            g.aggminitval, format_type(g.aggtranstype, NULL),
            format_type(nullif(g.aggmtranstype, 0), NULL))::text
            FROM pg_aggregate g WHERE g.aggfnoid = f.oid))::text,
    {parts("pg_get_expr(f.proargdefaults, 0)", "pg_get_function_sqlbody(f.oid)")}
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
WHERE {SCHEMA} AND {own("f", "pg_proc")}
-- a range type makes its constructors itself
AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_proc'::regclass
    AND x.objid = f.oid AND x.deptype = 'i')""",
    f"""
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
    format('%I.%I', n.nspname, t.typname),
    ROW(t.typtype, t.typowner::regrole, {acl("t.typacl", "T", "t.typowner")},
        t.typnotnull, t.typcollation::regcollation,
        CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
        CASE WHEN t.typtype = 'b' THEN ROW(t.typinput, t.typoutput, t.typreceive, t.typsend,
            t.typmodin, t.typmodout, t.typanalyze, t.typlen, t.typbyval, t.typalign, t.typstorage,
            t.typcategory, t.typispreferred, t.typdelim, format_type(t.typelem, NULL))::text END,
        (SELECT string_agg({exact("e.enumlabel")}::text, ',' ORDER BY e.enumsortorder)
            FROM pg_enum e WHERE e.enumtypid = t.oid),
        (SELECT ROW(format_type(r.rngsubtype, NULL), r.rngcollation::regcollation, r.rngcanonical,
            r.rngsubdiff, (SELECT ROW(o.opcnamespace::regnamespace, o.opcname)::text
                FROM pg_opclass o WHERE o.oid = r.rngsubopc))::text
            FROM pg_range r WHERE r.rngtypid = t.oid),
        (SELECT string_agg(ROW(quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                a.attcollation::regcollation)::text, ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0
            AND NOT a.attisdropped))::text,
    coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype IN ('b', 'c', 'd', 'e', 'r')
AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
AND {SCHEMA} AND {own("t", "pg_type")}""",
    f"""
SELECT 'default privileges', concat_ws(' ', d.defaclrole::regrole,
        CASE WHEN d.defaclnamespace <> 0 THEN d.defaclnamespace::regnamespace::text END,
        d.defaclobjtype),
    {granted("d.defaclacl")}, NULL
FROM pg_default_acl d""",
    f"""
SELECT 'comment on ' || i.type, i.identity, {exact("d.description")}::text, NULL
FROM pg_description d, LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
WHERE d.objoid >= {FIRST_OWN} AND d.classoid <> 'pg_extension'::regclass
AND coalesce(i.schema, '') !~ '^pg_'
AND NOT EXISTS (SELECT FROM pg_depend x WHERE
    x.classid = d.classoid AND x.objid = d.objoid AND x.deptype = 'e')""",
)
