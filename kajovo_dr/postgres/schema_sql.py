"""Pieces of catalog queries that all kinds of schema objects need.

Belongs here: which objects are the application's own, and values of the catalog in an order that a
restore keeps. Not here: whole queries (``schema_tables``, ``schema_routines``, ``schema_rare``).
"""
# ruff: noqa: S608 - SQL of constants only

from __future__ import annotations

from kajovo_dr.postgres.wording import PART

#: The first oid that does not belong to PostgreSQL itself (FirstNormalObjectId).
FIRST_OWN = 16384
#: Schemas, as ``n``, that are not PostgreSQL's own.
SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
#: Separates texts whose words do not count for each other.
_PART = f"E'\\x{ord(PART):02x}'"


def own(alias: str, catalog: str) -> str:
    """Neither PostgreSQL's own nor an extension's."""
    return (
        f"{alias}.oid >= {FIRST_OWN} AND NOT EXISTS (SELECT FROM pg_depend x WHERE"
        f" x.classid = '{catalog}'::regclass AND x.objid = {alias}.oid AND x.deptype = 'e')"
    )


def granted(acl: str) -> str:
    """Privileges in a fixed order.

    Without MAINTAIN, which only servers since 17 have, and which GRANT ALL means there.
    """
    return (
        "(SELECT string_agg(concat(grantee::regrole, '=', privilege_type, is_grantable), ','"
        ' ORDER BY grantee::regrole::text COLLATE "C", privilege_type COLLATE "C")'
        f" FROM aclexplode({acl}) WHERE privilege_type <> 'MAINTAIN')"
    )


def acl(acl: str, kind: str, owner: str) -> str:
    """Privileges of an object; those that follow from no GRANT are spelled out."""
    return granted(f"coalesce({acl}, acldefault('{kind}', {owner}))")


def arranged(texts: str) -> str:
    """An array of texts in a fixed order: pg_dump writes options sorted, the catalog as given."""
    return f"(SELECT string_agg(each, ',' ORDER BY each COLLATE \"C\") FROM unnest({texts}) each)"


def exact(text: str) -> str:
    """A hash of a text of which each character counts, quotes around names too."""
    return f'hashtextextended({text} COLLATE "C", 0)'


def parts(*texts: str) -> str:
    """Texts that stay apart in a definition's essence; a missing one leaves its place empty."""
    return "concat(" + f", {_PART}, ".join(texts) + ")"


def gathered(text: str, order: str) -> str:
    """An aggregate of texts that stay apart."""
    return f'string_agg({text}, {_PART} ORDER BY {order} COLLATE "C")'
