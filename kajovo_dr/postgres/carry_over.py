"""What belongs to a database and is in no dump of it: owner, privileges, limits, settings, comment.

Belongs here: reading them from one database and giving them to another. Not here: exchanging the
names (``swap``), and what a dump holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from kajovo_dr.postgres.databases import Connection

#: Settings whose value is a list of names in the notation of identifiers; quoted as one text they
#: would name a single schema or library. From the server's list of such variables (GUC_LIST_QUOTE).
_LISTS = frozenset(
    (
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    )
)
#: One name of such a list and what follows it: quoted, or plain.
_NAME = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(,|$)')


@dataclass(frozen=True)
class Grant:
    """A privilege on the database. role: None is PUBLIC."""

    role: str | None
    privilege: str
    grantable: bool


@dataclass(frozen=True)
class Setting:
    """A setting of the database's sessions. role: None is everybody's. value: None is not told."""

    role: str | None
    name: str
    value: str | None


@dataclass(frozen=True)
class Attributes:
    """Everything of a database that a dump leaves out. grants: None are the server's default."""

    owner: str
    tablespace: str
    connection_limit: int
    comment: str | None
    grants: tuple[Grant, ...] | None
    settings: tuple[Setting, ...]

    def without_secrets(self) -> Attributes:
        """The same without the values of an application's own settings (``app.name``), in which
        some keep their keys.
        """
        told = [replace(each, value=None) if "." in each.name else each for each in self.settings]
        return replace(self, settings=tuple(told))

    def without_settings(self) -> Attributes:
        """The same without any setting."""
        return replace(self, settings=())

    def without_fences(self) -> tuple[Attributes, list[str]]:
        """The same without what keeps writers out of a database that is being saved; that, in
        words.
        """
        fences = [
            each
            for each in self.settings
            if each.name == "default_transaction_read_only" and each.value in ("on", "true", "1")
        ]
        said = [_named(each) for each in fences]
        limit = self.connection_limit
        if limit == 0:
            said, limit = [*said, "connection limit 0"], -1
        kept = tuple(each for each in self.settings if each not in fences)
        return replace(self, settings=kept, connection_limit=limit), said


def read(connection: Connection, name: str) -> Attributes:
    """The attributes of a database of this server."""
    row = connection.execute(
        "SELECT d.oid, r.rolname, t.spcname, d.datconnlimit, d.datacl IS NOT NULL,"
        " shobj_description(d.oid, 'pg_database') FROM pg_database d"
        " JOIN pg_roles r ON r.oid = d.datdba JOIN pg_tablespace t ON t.oid = d.dattablespace"
        " WHERE d.datname = %s",
        [name],
    ).fetchone()
    assert row is not None
    oid, owner, tablespace, limit, granted, comment = row
    grants = connection.execute(
        # by whom it was granted is lost; one role may have the same of several
        "SELECT r.rolname, a.privilege_type, bool_or(a.is_grantable) FROM pg_database d,"
        " aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee"
        " WHERE d.oid = %s AND (a.grantee = 0 OR r.oid IS NOT NULL) GROUP BY 1, 2 ORDER BY 1, 2",
        [oid],
    ).fetchall()
    settings = connection.execute(
        "SELECT r.rolname, s FROM pg_db_role_setting LEFT JOIN pg_roles r ON r.oid = setrole,"
        " unnest(setconfig) s WHERE setdatabase = %s AND (setrole = 0 OR r.oid IS NOT NULL)"
        " ORDER BY 1, 2",
        [oid],
    ).fetchall()
    return Attributes(
        owner=owner,
        tablespace=tablespace,
        connection_limit=limit,
        comment=comment,
        grants=tuple(Grant(*grant) for grant in grants) if granted else None,
        settings=tuple(Setting(role, *text.split("=", 1)) for role, text in settings),
    )


def tablespace_of_its_own(connection: Connection, name: str) -> str:
    """A database's tablespace; empty when it is the one that new databases get anyway, which not
    everybody may name.
    """
    row = connection.execute(
        "SELECT t.spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace"
        " WHERE d.datname = %s AND d.dattablespace <>"
        " (SELECT dattablespace FROM pg_database WHERE datname = 'template0')",
        [name],
    ).fetchone()
    return str(row[0]) if row else ""


def give(connection: Connection, name: str, attributes: Attributes) -> list[str]:
    """Give a database these attributes in one transaction, whatever it had of them before.

    Without the comment, which marks a restored database until it takes the other's name; and
    without the tablespace, which CREATE DATABASE chooses. What the server refuses, such as what
    only a superuser may set, or a role that it lacks, keeps nothing from its place: it is returned,
    in words.
    """
    has = read(connection, name)
    refused = []
    with connection.transaction():
        for what, statement in _statements(sql.Identifier(name), has, attributes):
            try:
                with connection.transaction():  # a savepoint
                    connection.execute(statement)
            except psycopg.Error:
                if connection.broken:
                    raise
                refused.append(what)
    refused += [_named(each) for each in attributes.settings if each.value is None]
    return refused


def _named(setting: Setting) -> str:
    of = f" of role {setting.role!r}" if setting.role is not None else ""
    return f"setting {setting.name!r}{of}"


def _statements(
    database: sql.Identifier, has: Attributes, wanted: Attributes
) -> Iterator[tuple[str, sql.Composed]]:
    """What each is about, and the statement."""
    if has.owner != wanted.owner:
        owner = sql.SQL("ALTER DATABASE {} OWNER TO {}")
        yield f"owner {wanted.owner!r}", owner.format(database, sql.Identifier(wanted.owner))
    limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
    yield "connection limit", limit.format(database, sql.Literal(wanted.connection_limit))
    yield "settings", sql.SQL("ALTER DATABASE {} RESET ALL").format(database)
    for role in {each.role for each in has.settings if each.role is not None}:
        reset = sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL")
        yield f"settings of role {role!r}", reset.format(sql.Identifier(role), database)
    for setting in wanted.settings:
        if setting.value is not None:
            yield _named(setting), _set(database, setting, setting.value)
    if wanted.grants is not None or has.grants is not None:
        grants = _by_default(wanted.owner) if wanted.grants is None else wanted.grants
        yield from _granted(database, has, wanted.owner, grants)


def _set(database: sql.Identifier, setting: Setting, wanted: str) -> sql.Composed:
    whose = (
        sql.SQL("DATABASE {}").format(database)
        if setting.role is None
        else sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(setting.role), database)
    )
    values = _names(wanted) if setting.name in _LISTS else [wanted]
    value = sql.SQL(", ").join(sql.Literal(each) for each in values)
    name = sql.Identifier(*setting.name.split("."))
    return sql.SQL("ALTER {} SET {} TO {}").format(whose, name, value)


def _names(value: str) -> list[str]:
    """The names of a list as it is stored; each is a value of its own, to be quoted by itself."""
    names, at = [], 0
    while at < len(value):
        if (found := _NAME.match(value, at)) is None:
            return [value]
        quoted, plain, _ = found.groups()
        names.append(plain.lower() if quoted is None else quoted.replace('""', '"'))
        at = found.end()
    return names or [""]


def _by_default(owner: str) -> tuple[Grant, ...]:
    """What the server grants on a database of which nothing was ever granted or revoked."""
    everybody = (Grant(None, "CONNECT", False), Grant(None, "TEMPORARY", False))
    return (
        *everybody,
        *(Grant(owner, each.privilege, False) for each in everybody),
        Grant(owner, "CREATE", False),
    )


def _granted(
    database: sql.Identifier, has: Attributes, owner: str, grants: tuple[Grant, ...]
) -> Iterator[tuple[str, sql.Composed]]:
    """Take every privilege away, from the owner too, then grant those that are wanted."""
    holders = {None, has.owner, owner, *(grant.role for grant in has.grants or ())}
    for role in sorted(holders, key=str):
        revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database, _grantee(role))
        yield f"privileges of {role or 'PUBLIC'}", revoke
    for grant in grants:
        yield (
            f"{grant.privilege} for {grant.role or 'PUBLIC'}",
            sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
                sql.SQL(grant.privilege),
                database,
                _grantee(grant.role),
                sql.SQL(" WITH GRANT OPTION" if grant.grantable else ""),
            ),
        )


def _grantee(role: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
