"""Whose fault a failed restore is, told from the words of psql or pg_restore.

The bytes are those that the manifest vouches for. So a restore that fails is the dump's fault only
where the message describes what is in the dump; a tablespace, a collation or a right that the
server lacks says nothing of the backup. Belongs here: that judgement, and the next step of whoever
reads the message. Not here: what follows of it for the backup (``prove``).
"""

from __future__ import annotations

import re
from typing import Literal

from kajovo_dr.settings import PREFIX

#: dump: no server could restore it. server: it was at its end, or went away. unknown: it does not
#: restore there, and another server might take it.
Fault = Literal["dump", "server", "unknown"]

#: psql tells the SQLSTATE (``client_tools.psql_arguments``), pg_restore never does.
_SAID = re.compile(r"\b(?:ERROR|FATAL|PANIC):\s+(?:([0-9A-Z]{5}): )?(.*)")
_QUOTED = re.compile('"[^"]*"')
#: Of the server: connections, resources, an administrator, other systems, its own disk.
_STATES_OF_THE_SERVER = re.compile("08|53|57|58|F0|XX")
#: Of what the dump says: wrong data, broken rules, bad SQL, objects that lack or are there twice.
#: Not 22023 and 42501: values of settings, and rights.
_STATES_OF_THE_DUMP = re.compile("(?!22023|42501)(?:22|23|42|2BP01|3F000)")
_WORDS_OF_THE_SERVER = re.compile(
    "connection to server|server closed the connection|terminating connection|shutting down"
    "|canceling statement|out of (?:shared )?memory|could not extend file|could not write"
    "|No space left on device|Input/output error|remaining connection slots|too many clients"
    "|could not connect|a worker process died|could not create worker"
)
#: pg_restore quotes the server, whose messages the scratch database asks for in English.
_WORDS_OF_THE_DUMP = re.compile(
    "syntax error|unterminated|already exists|duplicate key value|could not create unique index"
    "|violates .*constraint|contains? null values|contains values that|multiple primary keys"
    "|no unique constraint matching|invalid (?:input|byte sequence|hexadecimal|escape)|malformed"
    "|missing data for column|extra data after last|value too long|out of range|cannot be cast"
    "|is of type .* but|literal (?:newline|carriage return) found|end-of-copy marker"
    "|^(?:relation|table|view|materialized view|sequence|index|column|constraint|trigger|rule"
    "|policy|function|procedure|aggregate|operator|type|domain|schema|statistics object"
    "|large object)\\b.* does not exist"
)
#: What pg_restore finds in an archive, and psql in a script, without asking the server.
_WORDS_OF_THE_FILE = re.compile(
    "invalid command|backslash commands are restricted|end of file|could not (?:un|de)compress"
    "|could not find block|magic string|unexpected block|data block type|unexpected data offset"
    "|unexpected section code|not appear to be a valid archive|input file is too short"
    "|text format dump|bad dump|entry ID .* out of range|sanity check|unrecognized encoding"
    "|invalid (?:ENCODING|STDSTRINGS|SEARCHPATH) item|table of contents|corrupt"
)
_LOCKS_FULL = "out of shared memory|max_locks_per_transaction"
_MORE_LOCKS = (
    "raise max_locks_per_transaction on that server and restart it: the dump has more tables and"
    " indexes than one transaction may lock there."
)
#: The next step by what was said; the first that fits.
_STEPS = (
    (_LOCKS_FULL, _MORE_LOCKS),
    ("No space left|could not extend file", "free space on that server's disk, then prove again."),
    (
        "42501|must be |permission denied",
        f"give the user in {PREFIX}PROOF_URL the attribute SUPERUSER, or unset it for the embedded"
        " server.",
    ),
    (
        "ICU|collation|42704|22023|0A000|not available|does not exist",
        f"name a server that has it in {PREFIX}PROOF_URL: one set up as the source is.",
    ),
)
_STEP = f"mend what the server reports, or name another server in {PREFIX}PROOF_URL."


def fault(reason: str) -> Fault:
    """Whose fault it is that a restore failed for this reason (`process.Completed.reason`)."""
    # the other lines are rows and commands of the dump, and so may be what stands in quotes
    first = _QUOTED.sub('""', reason.partition(" | ")[0])
    said = _SAID.search(first)
    state, words = (said[1] or "", said[2]) if said else ("", "")
    if _STATES_OF_THE_SERVER.match(state) or (not state and _WORDS_OF_THE_SERVER.search(first)):
        return "server"
    if state == "42704" or not state:  # a type or a trigger, but a role or a tablespace as well
        its_own = _WORDS_OF_THE_DUMP.search(words) if said else _WORDS_OF_THE_FILE.search(first)
    else:
        its_own = _STATES_OF_THE_DUMP.match(state)
    return "dump" if its_own else "unknown"


def next_step(reason: str) -> str:
    """What to do about a failure that is not the dump's."""
    return next((step for words, step in _STEPS if re.search(words, reason)), _STEP)


def more_locks(reason: str) -> str:
    """What to do where a restore filled a server's table of locks; empty for any other failure."""
    return _MORE_LOCKS if re.search(_LOCKS_FULL, reason) else ""
