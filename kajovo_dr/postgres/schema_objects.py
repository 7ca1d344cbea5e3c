"""Every object of a schema as a name and hashes, so that a difference has a name.

*facts* are columns of the catalog that every server version writes alike. *wording* is what the
server spells out of stored expressions (a view's query, a default), hashed twice: see ``wording``.

Belongs here: asking for all of them and hashing. Not here: the queries (``schema_tables``,
``schema_routines``, ``schema_rare``), table contents (``fingerprint``). Objects of extensions
are left out: CREATE EXTENSION makes them. So is what pg_dump leaves out: invalid indexes, clones of
a partitioned table's constraints.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from kajovo_dr.errors import ServerError
from kajovo_dr.postgres import schema_rare, schema_routines, schema_tables, wording
from kajovo_dr.postgres.databases import Connection

_QUOTED = re.compile(r'(?<!")"([a-z_][a-z0-9_]*)"(?!")')
#: A row has quotes of its own, and doubles those within.
_IN_ROWS = re.compile(r'"*([a-z_][a-z0-9_]*)"*')


#: The queries ask for columns and functions that it was the first to have.
_OLDEST = 14


@dataclass(frozen=True)
class SchemaObjects:
    """facts, wording: name of the object ("table public.issues") to hash, and to its two hashes."""

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


def require_known(server_major: int) -> None:
    """Raise `ServerError` for a server whose schema cannot be read completely."""
    if server_major < _OLDEST:
        raise ServerError(
            f"the source is PostgreSQL {server_major}, whose schema cannot be proven to come back",
            hint=f"upgrade it to {_OLDEST} or newer: {_OLDEST - 1} got its last corrections in"
            " November 2025. Until then pg_dump alone can save it.",
        )


def read(connection: Connection) -> SchemaObjects:
    """All objects of the database, in a transaction with an empty search path (names are full)."""
    facts, words = {}, {}
    version = connection.info.server_version
    rare = schema_rare.queries(version)
    for query in (*schema_routines.QUERIES, *schema_tables.QUERIES, *rare):
        for kind, name, fact, definition in connection.execute(query.encode()).fetchall():
            # versions set quotes around plain names by the keywords that they know
            key = _QUOTED.sub(r"\1", f"{kind} {name}")
            facts[key] = wording.digest([_IN_ROWS.sub(r"\1", fact or "")])
            if definition and definition.strip(wording.PART):
                words[key] = wording.hashes(definition)
    return SchemaObjects(facts, words)
