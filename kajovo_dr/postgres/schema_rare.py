"""Catalog queries of kinds that few databases have: operators, servers, publications and the like.

Belongs here: queries that give (kind, name, facts, wording), see ``schema_objects``. Not here:
what every application has (``schema_tables``, ``schema_routines``).
"""
# ruff: noqa: S608 - SQL of constants only

from __future__ import annotations

from collections.abc import Iterator

from kajovo_dr.postgres.schema_sql import acl, arranged, gathered, own

#: Catalog -> what is compared of its row ``o``; PostgreSQL itself tells the names of these.
_FACTS = {
    "pg_operator": "o.oprowner::regrole, o.oprcode::regprocedure, o.oprcom::regoperator,"
    " o.oprnegate::regoperator, o.oprrest::regproc, o.oprjoin::regproc, o.oprcanmerge,"
    " o.oprcanhash",
    "pg_cast": "o.castcontext, o.castmethod, nullif(o.castfunc, 0)::regprocedure",
    "pg_transform": "o.trffromsql::regprocedure, o.trftosql::regprocedure",
    # the column with the locale was renamed in 17, and is new in 15
    "pg_collation": "o.collowner::regrole, o.collprovider, o.collisdeterministic, coalesce("
    "o.collcollate, to_jsonb(o) ->> 'colllocale', to_jsonb(o) ->> 'colliculocale'), o.collctype",
    "pg_conversion": "o.conowner::regrole, o.conproc::regproc, o.condefault,"
    " pg_encoding_to_char(o.conforencoding), pg_encoding_to_char(o.contoencoding)",
    "pg_am": "o.amtype, o.amhandler::regproc",
    "pg_opclass": "o.opcowner::regrole, o.opcintype::regtype, o.opcdefault,"
    " o.opckeytype::regtype, (SELECT ROW(f.opfnamespace::regnamespace, f.opfname)::text"
    " FROM pg_opfamily f WHERE f.oid = o.opcfamily)",
    "pg_opfamily": "o.opfowner::regrole,"
    " (SELECT string_agg(ROW(m.amoplefttype::regtype, m.amoprighttype::regtype, m.amopstrategy,"
    " m.amoppurpose, m.amopopr::regoperator)::text, ','"
    ' ORDER BY m.amopopr::regoperator::text COLLATE "C", m.amopstrategy)'
    " FROM pg_amop m WHERE m.amopfamily = o.oid),"
    " (SELECT string_agg(ROW(p.amproclefttype::regtype, p.amprocrighttype::regtype, p.amprocnum,"
    " p.amproc::regprocedure)::text, ','"
    ' ORDER BY p.amproc::regprocedure::text COLLATE "C", p.amprocnum)'
    " FROM pg_amproc p WHERE p.amprocfamily = o.oid)",
    "pg_ts_config": "o.cfgowner::regrole, (SELECT p.prsname FROM pg_ts_parser p"
    " WHERE p.oid = o.cfgparser), (SELECT string_agg(concat_ws(' ', m.maptokentype,"
    " m.mapdict::regdictionary), ',' ORDER BY m.maptokentype, m.mapseqno)"
    " FROM pg_ts_config_map m WHERE m.mapcfg = o.oid)",
    "pg_ts_dict": "o.dictowner::regrole, o.dictinitoption,"
    " (SELECT t.tmplname FROM pg_ts_template t WHERE t.oid = o.dicttemplate)",
    "pg_ts_parser": "o.prsstart, o.prstoken, o.prsend, o.prsheadline, o.prslextype",
    "pg_ts_template": "o.tmplinit, o.tmpllexize",
    # by name: numbers of columns change when one before them was dropped
    "pg_statistic_ext": "o.stxowner::regrole, o.stxkind, nullif(o.stxstattarget, -1),"
    " o.stxrelid::regclass, (SELECT string_agg(quote_ident(a.attname), ','"
    ' ORDER BY a.attname COLLATE "C") FROM pg_attribute a'
    " WHERE a.attrelid = o.stxrelid AND a.attnum = ANY (o.stxkeys::int2[]))",
    "pg_foreign_server": "o.srvowner::regrole, o.srvtype, o.srvversion,"
    f" {arranged('o.srvoptions')}, {acl('o.srvacl', 'S', 'o.srvowner')}",
    "pg_foreign_data_wrapper": "o.fdwowner::regrole, nullif(o.fdwhandler, 0)::regproc,"
    " nullif(o.fdwvalidator, 0)::regproc,"
    f" {arranged('o.fdwoptions')}, {acl('o.fdwacl', 'F', 'o.fdwowner')}",
    "pg_event_trigger": "o.evtowner::regrole, o.evtevent, o.evtenabled, o.evtfoid::regprocedure,"
    f" {arranged('o.evttags')}",
    "pg_language": "o.lanowner::regrole, o.lanpltrusted, o.lanplcallfoid::regproc,"
    f" {acl('o.lanacl', 'l', 'o.lanowner')}",
}
_WORDING = {"pg_statistic_ext": "pg_get_statisticsobjdef(o.oid)"}
_PUBLICATION = (
    "o.pubowner::regrole, o.puballtables, o.pubinsert, o.pubupdate, o.pubdelete, o.pubtruncate,"
    " o.pubviaroot, to_jsonb(o) ->> 'pubgencols'"
)
#: Servers since 15 publish whole schemas, and some rows and columns of a table.
_SINCE_15 = (
    "(SELECT string_agg(ROW(t.prrelid::regclass, (SELECT string_agg(quote_ident(a.attname), ','"
    ' ORDER BY a.attname COLLATE "C") FROM pg_attribute a WHERE a.attrelid = t.prrelid'
    " AND a.attnum = ANY (t.prattrs::int2[])))::text, ','"
    ' ORDER BY t.prrelid::regclass::text COLLATE "C")'
    " FROM pg_publication_rel t WHERE t.prpubid = o.oid),"
    " (SELECT string_agg(s.pnnspid::regnamespace::text, ','"
    ' ORDER BY s.pnnspid::regnamespace::text COLLATE "C")'
    " FROM pg_publication_namespace s WHERE s.pnpubid = o.oid)"
)
_BEFORE_15 = (
    "(SELECT string_agg(ROW(t.prrelid::regclass, NULL)::text, ','"
    ' ORDER BY t.prrelid::regclass::text COLLATE "C")'
    " FROM pg_publication_rel t WHERE t.prpubid = o.oid), NULL"
)
_ROW_FILTERS = (
    "(SELECT "
    + gathered(
        "concat(t.prrelid::regclass, ' ', pg_get_expr(t.prqual, t.prrelid))",
        "t.prrelid::regclass::text",
    )
    + " FROM pg_publication_rel t WHERE t.prpubid = o.oid AND t.prqual IS NOT NULL)"
)
_QUERIES = (
    # the catalog itself is closed to all but superusers, and its options hold passwords
    """
SELECT 'user mapping', format('%I on server %I', u.usename, u.srvname), NULL, NULL
FROM pg_user_mappings u""",
    # pg_dump leaves them out for others; where and as whom they connect may hold a password
    f"""
SELECT 'subscription', format('%I', u.subname),
    ROW(u.subowner::regrole, u.subslotname, u.subsynccommit, {arranged("u.subpublications")})::text,
    NULL
FROM pg_subscription u WHERE current_setting('is_superuser') = 'on'
AND u.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())""",
    f"""
SELECT 'large objects', 'owners and privileges', ROW(count(*), sum(hashtextextended(
    ROW(m.oid, m.lomowner::regrole, {acl("m.lomacl", "L", "m.lomowner")})::text COLLATE "C", 0)
    ))::text, NULL
FROM pg_largeobject_metadata m HAVING count(*) > 0""",
)


def queries(server_version: int) -> Iterator[str]:
    """For a server of this number (150004 of 15.4)."""
    yield from _QUERIES
    for catalog, facts in _FACTS.items():
        yield _named(catalog, facts, _WORDING.get(catalog, "NULL"))
    if server_version >= 150_000:
        yield _named("pg_publication", f"{_PUBLICATION}, {_SINCE_15}", _ROW_FILTERS)
    else:
        yield _named("pg_publication", f"{_PUBLICATION}, {_BEFORE_15}", "NULL")


def _named(catalog: str, facts: str, wording: str) -> str:
    return (
        f"SELECT i.type, i.identity, ROW({facts})::text, {wording} FROM {catalog} o,"
        f" LATERAL pg_identify_object('{catalog}'::regclass, o.oid, 0) i WHERE {own('o', catalog)}"
    )
