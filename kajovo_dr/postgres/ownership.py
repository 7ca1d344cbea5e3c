"""The query for the roles that a dump names: whatever of one database has an owner or privileges.

Belongs here: the catalogs, and which of their rows pg_dump would write. Not here: asking it
(``databases``).
"""

from __future__ import annotations

#: Catalogs whose rows have an owner: columns of owner, schema and privileges.
_OWNED = (
    ("pg_class", "relowner", "relnamespace", "relacl"),
    ("pg_proc", "proowner", "pronamespace", "proacl"),
    ("pg_type", "typowner", "typnamespace", "typacl"),
    ("pg_operator", "oprowner", "oprnamespace", ""),
    ("pg_opclass", "opcowner", "opcnamespace", ""),
    ("pg_opfamily", "opfowner", "opfnamespace", ""),
    ("pg_collation", "collowner", "collnamespace", ""),
    ("pg_conversion", "conowner", "connamespace", ""),
    ("pg_statistic_ext", "stxowner", "stxnamespace", ""),
    ("pg_ts_config", "cfgowner", "cfgnamespace", ""),
    ("pg_ts_dict", "dictowner", "dictnamespace", ""),
    ("pg_namespace", "nspowner", "oid", "nspacl"),
    ("pg_language", "lanowner", "", "lanacl"),
    ("pg_foreign_data_wrapper", "fdwowner", "", "fdwacl"),
    ("pg_foreign_server", "srvowner", "", "srvacl"),
    ("pg_event_trigger", "evtowner", "", ""),
    ("pg_publication", "pubowner", "", ""),
    ("pg_largeobject_metadata", "lomowner", "", "lomacl"),
    ("pg_default_acl", "defaclrole", "", "defaclacl"),
)
#: The first oid of what initdb did not make. A large object may have been given any.
_FIRST = {"pg_largeobject_metadata": 1}
_FIRST_NORMAL = 16384
#: The superuser that initdb made: what depends on it is written down nowhere.
_PINNED = 10


def _owner(catalog: str, owner: str, schema: str) -> str:
    """Rows that pg_dump writes: not those of initdb, nor members of extensions."""
    first = _FIRST.get(catalog, _FIRST_NORMAL)
    inside = (
        f" AND EXISTS (SELECT FROM pg_namespace n WHERE n.oid = o.{schema}"
        " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')"
    )
    return (
        f"SELECT {owner} FROM {catalog} o WHERE {owner} = {_PINNED} AND o.oid >= {first}"
        f"{inside if schema else ''} AND NOT EXISTS (SELECT FROM pg_depend d"
        f" WHERE d.classid = '{catalog}'::regclass AND d.objid = o.oid AND d.deptype = 'e')"
    )


def _privileged(rows: str, owner: str, acl: str) -> str:
    """Who gave or got privileges on what another role owns; an owner's own go without saying."""
    return (
        f"SELECT named FROM {rows}, aclexplode({acl}) a, unnest(ARRAY[a.grantor, a.grantee])"
        f" AS named WHERE named = {_PINNED} AND {owner} <> {_PINNED}"
    )


#: Oids of roles. Subscriptions are kept for the whole server, and so is who depends on them.
NAMED = " UNION ".join(
    (
        "SELECT refobjid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND dbid ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())",
        *(_owner(catalog, owner, schema) for catalog, owner, schema, _ in _OWNED),
        *(_privileged(catalog, owner, acl) for catalog, owner, _, acl in _OWNED if acl),
        _privileged("pg_attribute JOIN pg_class c ON c.oid = attrelid", "c.relowner", "attacl"),
        f"SELECT {_PINNED} FROM pg_policy WHERE {_PINNED} = ANY(polroles)",
        f"SELECT umuser FROM pg_user_mappings WHERE umuser = {_PINNED}",
        "SELECT subowner FROM pg_subscription s JOIN pg_database b ON b.oid = s.subdbid"
        " WHERE b.datname = current_database()",
    )
)
