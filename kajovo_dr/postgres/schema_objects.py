"""Every object of a schema as a name and two hashes, so that a difference has a name.

*facts* are columns of the catalog that every server version writes alike. *wording* is what the
server spells out of stored expressions (a view's query, a default): version 16 spells some views
otherwise than 15, so wording is only comparable between servers of one major version.

Belongs here: the catalog queries. Not here: table contents (``fingerprint``). Objects of extensions
are left out: CREATE EXTENSION makes them. So is what pg_dump leaves out: invalid indexes, clones of
a partitioned table's constraints.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from kajovo_dr.postgres.databases import Connection

#: Hexadecimal digits kept of a hash: 64 bits, against accidents, not against a forger.
_DIGITS = 16
#: The first oid that does not belong to PostgreSQL itself (FirstNormalObjectId).
_FIRST_OWN = 16384


def _own(alias: str, catalog: str) -> str:
    """Neither PostgreSQL's own nor an extension's."""
    return (
        f"{alias}.oid >= {_FIRST_OWN} AND NOT EXISTS (SELECT FROM pg_depend x WHERE"
        f" x.classid = '{catalog}'::regclass AND x.objid = {alias}.oid AND x.deptype = 'e')"
    )


def _acl(acl: str, kind: str, owner: str) -> str:
    """Privileges in a fixed order; those that follow from no GRANT are spelled out.

    Without MAINTAIN, which only servers since 17 have, and which GRANT ALL means there.
    """
    return (
        f"(SELECT string_agg(concat(grantee::regrole, '=', privilege_type, is_grantable), ','"
        f' ORDER BY grantee::regrole::text COLLATE "C", privilege_type COLLATE "C")'
        f" FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner})))"
        " WHERE privilege_type <> 'MAINTAIN')"
    )


_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

#: Each gives (kind, name, facts, wording). Arrays of names are ordered by the catalog's position.
_QUERIES = {
    "schema": f"""
SELECT 'schema', format('%I', n.nspname),
    CASE WHEN n.nspname <> 'public' THEN concat_ws('|', n.nspowner::regrole,
        {_acl("n.nspacl", "n", "n.nspowner")}) END,
    {_acl("n.nspacl", "n", "n.nspowner")}
FROM pg_namespace n WHERE {_SCHEMA} AND NOT EXISTS (SELECT FROM pg_depend x WHERE
    x.classid = 'pg_namespace'::regclass AND x.objid = n.oid AND x.deptype = 'e')""",
    "relation": f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
    WHEN 'f' THEN 'foreign table' ELSE 'table' END,
    format('%I.%I', n.nspname, c.relname),
    concat_ws('|', c.relkind, c.relpersistence, c.relowner::regrole, c.reloptions,
        c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispopulated,
        {_acl("c.relacl", "r", "c.relowner")},
        (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno)
            FROM pg_inherits i WHERE i.inhrelid = c.oid),
        (SELECT string_agg(concat_ws(' ', quote_ident(a.attname),
                format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                a.attoptions, a.attcollation::regcollation, nullif(a.attstattarget, -1),
                a.attstorage, nullif(a.attcompression, ''), a.attfdwoptions,
                (SELECT string_agg(concat(grantee::regrole, '=', privilege_type, is_grantable), ','
                    ORDER BY grantee::regrole::text COLLATE "C", privilege_type COLLATE "C")
                    FROM aclexplode(a.attacl) WHERE privilege_type <> 'MAINTAIN')), ', '
            -- a child's columns change places when the parent's were added later
            ORDER BY CASE WHEN NOT c.relispartition AND EXISTS
                (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) THEN 0 ELSE a.attnum END,
                a.attname COLLATE "C")
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
            AND NOT a.attisdropped),
        (SELECT concat_ws(' ', f.srvname, t.ftoptions) FROM pg_foreign_table t
            JOIN pg_foreign_server f ON f.oid = t.ftserver WHERE t.ftrelid = c.oid)),
    concat_ws('|', pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
        CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
        (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), pg_get_expr(d.adbin, c.oid)), ','
            ORDER BY a.attname COLLATE "C")
            FROM pg_attrdef d JOIN pg_attribute a
            ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relpersistence <> 't' AND {_SCHEMA}
AND {_own("c", "pg_class")}""",
    "sequence": f"""
SELECT 'sequence', format('%I.%I', n.nspname, c.relname),
    concat_ws('|', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmax, s.seqmin,
        s.seqcache, s.seqcycle, c.relowner::regrole, c.relpersistence,
        {_acl("c.relacl", "s", "c.relowner")},
        (SELECT concat(d.refobjid::regclass, '.', quote_ident(a.attname), ' ', d.deptype)
            FROM pg_depend d JOIN pg_attribute a
            ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))), NULL
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND {_SCHEMA} AND {_own("c", "pg_class")}""",
    "index": f"""
SELECT 'index', format('%I.%I', n.nspname, c.relname),
    concat_ws('|', i.indrelid::regclass, i.indisunique, i.indisprimary, i.indisexclusion,
        i.indisclustered, i.indisreplident, am.amname, i.indnatts, i.indnkeyatts, c.reloptions,
        (SELECT string_agg(concat(a.attnum, '=', a.attstattarget), ',' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0)),
    pg_get_indexdef(c.oid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = i.indrelid
WHERE (i.indisvalid OR t.relkind = 'p') AND i.indisready AND t.relpersistence <> 't'
AND {_SCHEMA} AND {_own("t", "pg_class")}""",
    "constraint": f"""
SELECT 'constraint', concat(CASE WHEN k.contypid <> 0 THEN k.contypid::regtype::text
        ELSE k.conrelid::regclass::text END, '.', quote_ident(k.conname)),
    concat_ws('|', k.contype, k.condeferrable, k.condeferred, k.convalidated, k.confupdtype,
        k.confdeltype, k.confmatchtype,
        CASE WHEN k.confrelid <> 0 THEN k.confrelid::regclass END,
        (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY o.n) FROM unnest(k.conkey)
            WITH ORDINALITY o(k, n) JOIN pg_attribute a
            ON a.attrelid = k.conrelid AND a.attnum = o.k WHERE k.contype IN ('p', 'u', 'f')),
        (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY o.n) FROM unnest(k.confkey)
            WITH ORDINALITY o(k, n) JOIN pg_attribute a
            ON a.attrelid = k.confrelid AND a.attnum = o.k)),
    pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
LEFT JOIN pg_class t ON t.oid = k.conrelid
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND {_SCHEMA}
AND coalesce(t.relpersistence, 'p') <> 't' AND {_own("k", "pg_constraint")}
AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.deptype = 'e' AND (
    x.classid = 'pg_class'::regclass AND x.objid = k.conrelid
    OR x.classid = 'pg_type'::regclass AND x.objid = k.contypid))""",
    "trigger": f"""
SELECT 'trigger', format('%s.%I', g.tgrelid::regclass, g.tgname),
    concat_ws('|', g.tgenabled, g.tgtype, g.tgfoid::regproc, g.tgdeferrable, g.tginitdeferred,
        encode(g.tgargs, 'hex')),
    pg_get_triggerdef(g.oid)
FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND {_SCHEMA} AND {_own("g", "pg_trigger")}""",
    "function": f"""
SELECT CASE f.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END,
    format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
    concat_ws('|', f.prokind, l.lanname, f.prosrc, f.probin, format_type(f.prorettype, NULL),
        f.proretset, f.provolatile, f.proisstrict, f.prosecdef, f.proleakproof, f.proparallel,
        f.procost, f.prorows, f.proconfig, f.proowner::regrole,
        {_acl("f.proacl", "f", "f.proowner")},
        (SELECT concat_ws(' ', g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.agginitval,
            format_type(g.aggtranstype, NULL)) FROM pg_aggregate g WHERE g.aggfnoid = f.oid)),
    CASE WHEN f.prokind <> 'a' THEN pg_get_functiondef(f.oid) END
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
WHERE {_SCHEMA} AND {_own("f", "pg_proc")}
-- a range type makes its constructors itself
AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_proc'::regclass
    AND x.objid = f.oid AND x.deptype = 'i')""",
    "type": f"""
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
    format('%I.%I', n.nspname, t.typname),
    concat_ws('|', t.typtype, t.typowner::regrole, {_acl("t.typacl", "T", "t.typowner")},
        t.typnotnull, CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
        (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
            FROM pg_enum e WHERE e.enumtypid = t.oid),
        (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid),
        (SELECT string_agg(concat_ws(' ', quote_ident(a.attname),
                format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0
            AND NOT a.attisdropped)),
    pg_get_expr(t.typdefaultbin, 0)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype IN ('b', 'c', 'd', 'e', 'r')
AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
AND {_SCHEMA} AND {_own("t", "pg_type")}""",
    "policy": f"""
SELECT 'policy', format('%s.%I', p.polrelid::regclass, p.polname),
    concat_ws('|', p.polcmd, p.polpermissive, (SELECT string_agg(
        CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END, ',' ORDER BY r::regrole::text)
        FROM unnest(p.polroles) r)),
    concat_ws('|', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy p JOIN pg_class t ON t.oid = p.polrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE {_SCHEMA} AND {_own("t", "pg_class")}""",
    "rule": f"""
SELECT 'rule', format('%s.%I', r.ev_class::regclass, r.rulename),
    concat_ws('|', r.ev_type, r.ev_enabled, r.is_instead), pg_get_ruledef(r.oid)
FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE r.rulename <> '_RETURN' AND {_SCHEMA} AND {_own("r", "pg_rewrite")}""",
    "default privileges": """
SELECT 'default privileges', concat_ws(' ', d.defaclrole::regrole,
        CASE WHEN d.defaclnamespace <> 0 THEN d.defaclnamespace::regnamespace::text END,
        d.defaclobjtype),
    (SELECT string_agg(concat(grantee::regrole, '=', privilege_type, is_grantable), ','
        ORDER BY grantee::regrole::text COLLATE "C", privilege_type COLLATE "C")
        FROM aclexplode(d.defaclacl) WHERE privilege_type <> 'MAINTAIN'), NULL
FROM pg_default_acl d""",
    "comment": f"""
SELECT 'comment on ' || i.type, i.identity, d.description, NULL
FROM pg_description d, LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
WHERE d.objoid >= {_FIRST_OWN} AND d.classoid <> 'pg_extension'::regclass
AND coalesce(i.schema, '') !~ '^pg_'
AND NOT EXISTS (SELECT FROM pg_depend x WHERE
    x.classid = d.classoid AND x.objid = d.objoid AND x.deptype = 'e')""",
}
#: Rarer kinds, whose names PostgreSQL itself tells: what is compared, from the catalog's row.
_NAMED = {
    "pg_operator": "o.oprowner::regrole, o.oprcode::regprocedure, o.oprcom::regoperator,"
    " o.oprnegate::regoperator, o.oprrest::regproc, o.oprjoin::regproc, o.oprcanmerge,"
    " o.oprcanhash",
    "pg_cast": "o.castcontext, o.castmethod, nullif(o.castfunc, 0)::regprocedure",
    # the column with the locale was renamed in 17, and is new in 15
    "pg_collation": "o.collowner::regrole, o.collprovider, o.collisdeterministic, coalesce("
    "o.collcollate, to_jsonb(o) ->> 'colllocale', to_jsonb(o) ->> 'colliculocale'), o.collctype",
    "pg_conversion": "o.conowner::regrole, o.conproc::regproc, o.condefault",
    "pg_opclass": "o.opcowner::regrole, o.opcintype::regtype, o.opcdefault",
    "pg_opfamily": "o.opfowner::regrole",
    "pg_ts_config": "o.cfgowner::regrole, (SELECT string_agg(concat_ws(' ', m.maptokentype,"
    " m.mapdict::regdictionary), ',' ORDER BY m.maptokentype, m.mapseqno)"
    " FROM pg_ts_config_map m WHERE m.mapcfg = o.oid)",
    "pg_ts_dict": "o.dictowner::regrole, o.dictinitoption",
    "pg_statistic_ext": "o.stxowner::regrole, o.stxkind, nullif(o.stxstattarget, -1),"
    " o.stxrelid::regclass, o.stxkeys::text",
    "pg_foreign_server": "o.srvowner::regrole, o.srvtype, o.srvversion, o.srvoptions, o.srvacl",
    "pg_foreign_data_wrapper": "o.fdwowner::regrole, o.fdwoptions, o.fdwacl",
    "pg_user_mapping": "NULL",  # its options hold passwords
    "pg_event_trigger": "o.evtowner::regrole, o.evtevent, o.evtenabled, o.evtfoid::regprocedure,"
    " o.evttags",
    "pg_publication": "o.pubowner::regrole, o.puballtables, o.pubinsert, o.pubupdate, o.pubdelete,"
    " o.pubtruncate, o.pubviaroot, (SELECT string_agg(t.prrelid::regclass::text, ','"
    ' ORDER BY t.prrelid::regclass::text COLLATE "C")'
    " FROM pg_publication_rel t WHERE t.prpubid = o.oid)",
    "pg_language": "o.lanowner::regrole, o.lanpltrusted, o.lanacl",
}


@dataclass(frozen=True)
class SchemaObjects:
    """facts, wording: name of the object ("table public.issues") to hash."""

    facts: dict[str, str]
    wording: dict[str, str]

    @property
    def sha256(self) -> str:
        """One digest of all of it."""
        digest = hashlib.sha256()
        for part in (self.facts, self.wording):
            for name, value in sorted(part.items()):
                digest.update(f"{name}\0{value}\n".encode())
        return digest.hexdigest()


def read(connection: Connection) -> SchemaObjects:
    """All objects of the database, in a transaction with an empty search path (names are full)."""
    facts, wording = {}, {}
    for query in (*_QUERIES.values(), *map(_named, _NAMED.items())):
        for kind, name, fact, words in connection.execute(query.encode()).fetchall():
            key = f"{kind} {name}"
            facts[key] = _hash(fact)
            if words:
                wording[key] = _hash(words)
    return SchemaObjects(facts, wording)


def _named(catalog_and_facts: tuple[str, str]) -> str:
    catalog, facts = catalog_and_facts
    return (
        f"SELECT i.type, i.identity, concat_ws('|', {facts}), NULL FROM {catalog} o,"
        f" LATERAL pg_identify_object('{catalog}'::regclass, o.oid, 0) i WHERE {_own('o', catalog)}"
    )


def _hash(text: str | None) -> str:
    return hashlib.sha256((text or "").encode()).hexdigest()[:_DIGITS]
