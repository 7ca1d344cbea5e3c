"""The statements that pg_dump writes, by their first words; all others are a stranger's.

Belongs here: what may stand at the top level of a dump, inside the body of a routine or a rule, and
around large objects. Not here: where a statement begins (``psql_lexer``).

A restore runs as superuser: a ``DO`` or ``CREATE ROLE`` in a dump would have the server. This stops
what stands there openly; a function can still be hostile, and an index may call it.
"""

from __future__ import annotations

import re

_NAME = rb'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)'
_COLUMNS = rb"(?:\(" + _NAME + rb"(?:, " + _NAME + rb")*\))?"
#: Nothing more may stand in it: psql must read rows after it, or they would be commands.
COPY = re.compile(rb"COPY (%b)\.(%b) %b FROM stdin;\n" % (_NAME, _NAME, _COLUMNS))
UNLIKE_PG_DUMP = "a COPY unlike those of pg_dump: rows and commands could not be told apart"
#: pg_dump embraces the contents of large objects with them.
BEGIN, COMMIT = b"BEGIN;\n", b"COMMIT;\n"
LARGE_OBJECTS = re.compile(rb"SELECT pg_catalog\.lo")

_CLUSTER_WIDE = rb"(?:DATABASE|GROUP|ROLE|SYSTEM|TABLESPACE)\b|USER (?!MAPPING )"
_OF_OBJECTS = re.compile(
    rb"(?:ALTER|CREATE|DROP) (?:OR REPLACE )?(?!OR |%b)[A-Z]+[ \n]" % _CLUSTER_WIDE, re.IGNORECASE
)
_PRIVILEGES = (
    rb"(?:ALL|SELECT|INSERT|UPDATE|DELETE|TRUNCATE|REFERENCES|TRIGGER|MAINTAIN|RULE|USAGE|EXECUTE"
    rb"|CREATE|CONNECT|TEMPORARY|TEMP)\b"
)
#: Without a privilege a role would be granted, which is the cluster's.
_OF_PRIVILEGES = re.compile(
    rb"(?:GRANT|REVOKE|REVOKE GRANT OPTION FOR) %b" % _PRIVILEGES, re.IGNORECASE
)
#: A query may call anything; those of pg_dump call these.
_QUERY = re.compile(
    rb"SELECT (?:pg_catalog\.(?:set_config\('search_path', '', false\);"
    rb"|(?:setval|lo_create|lo_open|lowrite|lo_close|lo_unlink)\()"
    rb"|\* FROM pg_catalog\.pg_restore_[a-z]+_stats\()"
)
_SETTING = re.compile(rb"SET (?:[a-z_]+ = |SESSION AUTHORIZATION )")
_FORMS = {
    b"alter": _OF_OBJECTS,
    b"comment": re.compile(rb"COMMENT ON ", re.IGNORECASE),
    b"create": _OF_OBJECTS,
    b"drop": _OF_OBJECTS,
    b"grant": _OF_PRIVILEGES,
    b"insert": re.compile(rb"INSERT INTO ", re.IGNORECASE),
    b"refresh": re.compile(rb"REFRESH MATERIALIZED VIEW ", re.IGNORECASE),
    b"revoke": _OF_PRIVILEGES,
    b"security": re.compile(rb"SECURITY LABEL ", re.IGNORECASE),
    b"select": _QUERY,
    b"set": _SETTING,
}
#: First words of the statements in bodies of routines and rules.
_IN_BODIES = frozenset(b"delete end insert merge notify return select update values with".split())
_ROUTINE = re.compile(rb"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)\b", re.IGNORECASE)
_WORDS = re.compile(rb"[A-Za-z]{1,30}(?: [A-Za-z]{1,30}(?=[ ;\n]))?")

#: The settings that decide how a text is read; the value tells whether a backslash escapes.
_STRINGS = {
    b"SET standard_conforming_strings = on;\n": False,
    b"SET standard_conforming_strings = off;\n": True,
}
#: Encodings in which no byte of a character looks like a quote or a backslash.
_SAFE_ENCODING = re.compile(
    rb"SET client_encoding = '(?:UTF8|SQL_ASCII|MULE_INTERNAL|LATIN\d+|ISO_8859_\d|KOI8[RU]"
    rb"|WIN125\d|WIN866|WIN874|EUC_\w+)';\n"
)
_STEERS = re.compile(rb"SET (?:standard_conforming_strings|client_encoding) ")


def refused(line: bytes, at: int, word: bytes) -> str:
    """Why the statement that begins here with this word cannot be pg_dump's, or nothing."""
    form = _FORMS.get(word)
    if form is not None and form.match(line, at):
        if word == b"set" and _STEERS.match(line, at) and not _steered(line):
            return "a setting by which psql would read quotes differently"
        return ""
    shown = _shown(line, at)
    if shown.endswith(" DATABASE"):
        return f"{shown}, which only pg_dump --create writes"
    if form in (None, _OF_OBJECTS):
        return f"{shown}, which pg_dump does not write"
    return f"a {word.decode().upper()} unlike those of pg_dump"


def refused_inside(word: bytes) -> str:
    """Why a statement in a body cannot be pg_dump's, or nothing."""
    if word == b"copy":
        return UNLIKE_PG_DUMP
    return "" if word in _IN_BODIES else f"{_shown(word, 0)} inside a body of statements"


def begins_routine(line: bytes, at: int) -> bool:
    """Whether psql looks out for a body that has semicolons."""
    return _ROUTINE.match(line, at) is not None


def escapes(line: bytes) -> bool | None:
    """Whether a backslash escapes from this line on; None when the line does not say."""
    return _STRINGS.get(line)


def _steered(line: bytes) -> bool:
    return line in _STRINGS or _SAFE_ENCODING.fullmatch(line) is not None


def _shown(line: bytes, at: int) -> str:
    """One or two plain words of a text that may hold anything."""
    words = _WORDS.match(line, at)
    return words[0].decode().upper() if words else "a statement"
