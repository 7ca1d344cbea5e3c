"""What is asked of, and done to, a database that was restored for a look and is dropped again.

Belongs here: SQL that makes a strange server fit for a restore and leaves nothing behind. Not here:
databases that stay (``databases``), and what is restored (``backups.scratch``).
"""

from __future__ import annotations

import contextlib

from psycopg import errors as pg
from psycopg import sql

from kajovo_dr.postgres import databases
from kajovo_dr.postgres.databases import Connection
from kajovo_dr.postgres.server import Server


def speak_english(connection: Connection, name: str) -> None:
    """Let a database's messages be English, where this session may: pg_restore tells no SQLSTATE,
    only what the server says.
    """
    with contextlib.suppress(pg.InsufficientPrivilege):
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET lc_messages = 'C'").format(sql.Identifier(name))
        )


def is_superuser(connection: Connection) -> bool:
    """Whether the session's role may do everything."""
    return connection.info.parameter_status("is_superuser") == "on"


def make_role(connection: Connection, name: str, mark: str) -> None:
    """A role without login, with a comment by which `marked_roles` knows it.

    A superuser where we are one: some objects (event triggers) may belong to no other role.
    """
    rights = sql.SQL("SUPERUSER" if is_superuser(connection) else "NOSUPERUSER")
    role = sql.Identifier(name)
    with connection.transaction():
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN {}").format(role, rights))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(mark)))


def marked_roles(connection: Connection, mark: str) -> list[str]:
    """Roles that `make_role` made."""
    found = connection.execute(
        "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s", [mark]
    ).fetchall()
    return [name for (name,) in found]


def drop_role(connection: Connection, name: str) -> None:
    """Drop a role, unless somebody gave it something meanwhile: then it is theirs."""
    with contextlib.suppress(pg.DependentObjectsStillExist):
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def drop(connection: Connection, server: Server, name: str) -> None:
    """Drop a database of this server with its subscriptions, without which it cannot be."""
    subscribed = connection.execute(
        "SELECT FROM pg_subscription s JOIN pg_database b ON b.oid = s.subdbid WHERE datname = %s",
        [name],
    ).fetchone()
    if subscribed is not None:
        with databases.connect(server.database(name)) as session:
            _drop_subscriptions(session)
    databases.drop(connection, name)


def foreign_servers_asked(connection: Connection) -> list[str]:
    """Foreign servers from which materialized views of this database take their rows."""
    found = connection.execute(
        "WITH RECURSIVE uses AS (SELECT r.ev_class AS view, d.refobjid AS used FROM pg_rewrite r"
        " JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid"
        " AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class),"
        " reach AS (SELECT u.used FROM uses u JOIN pg_class c ON c.oid = u.view"
        " WHERE c.relkind = 'm' AND c.relispopulated"
        " UNION SELECT u.used FROM reach JOIN uses u ON u.view = reach.used)"
        " SELECT DISTINCT s.srvname FROM reach JOIN pg_foreign_table t ON t.ftrelid = reach.used"
        " JOIN pg_foreign_server s ON s.oid = t.ftserver ORDER BY 1"
    ).fetchall()
    return [name for (name,) in found]


def _drop_subscriptions(connection: Connection) -> None:
    """Without a word to their publishers, whose slots are the source's and not ours."""
    found = connection.execute(
        "SELECT subname FROM pg_subscription s JOIN pg_database b ON b.oid = s.subdbid"
        " WHERE b.datname = current_database()"
    ).fetchall()
    for (name,) in found:
        for ending in ("DISABLE", "SET (slot_name = NONE)"):
            connection.execute(
                sql.SQL("ALTER SUBSCRIPTION {} {}").format(sql.Identifier(name), sql.SQL(ending))
            )
        connection.execute(sql.SQL("DROP SUBSCRIPTION {}").format(sql.Identifier(name)))
