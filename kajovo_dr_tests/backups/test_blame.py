"""Under test: whose fault a failed restore is, told from what psql and pg_restore really said."""

from __future__ import annotations

import pytest

from kajovo_dr.backups.blame import fault, next_step

PSQL = "a.sql into kajovo@127.0.0.1:5433/x: psql: exit code 3: "
ARCHIVE = "a.dump into kajovo@127.0.0.1:5433/x: pg_restore: exit code 1: pg_restore: error: "
QUERY = f"{ARCHIVE}could not execute query: ERROR:  "

OF_THE_DUMP = [
    f"{PSQL}psql:<stdin>:40: ERROR:  42601: syntax error at or near „CREATE“",
    f"{PSQL}ERROR:  42P01: relace „public.t“ neexistuje",
    f'{PSQL}ERROR:  23505: could not create unique index "x"',
    f'{PSQL}ERROR:  22P02: invalid input syntax for type integer: "out of memory"',
    f'{PSQL}ERROR:  42704: type "public.mood" does not exist',
    f"{PSQL}psql:<stdin>:9: error: invalid command \\neznámý",
    f"{PSQL}psql:<stdin>:9: error: backslash commands are restricted; only \\unrestrict is allowed",
    f'{QUERY}relation "public.t" does not exist',
    f'{QUERY}insert or update on table "a" violates foreign key constraint "b"',
    f'{QUERY}there is no unique constraint matching given keys for referenced table "t"',
    f'{ARCHIVE}COPY failed for table "t": ERROR:  missing data for column "b"',
    f'{ARCHIVE}COPY failed for table "t": ERROR:  invalid input syntax for type integer: "x"',
    f'{ARCHIVE}COPY failed for table "t": ERROR:  value too long: "could not connect"',
    f"{ARCHIVE}could not read from input file: end of file",
    f"{ARCHIVE}could not decompress data: Data corruption detected",
    f"{ARCHIVE}did not find magic string in file header",
]
OF_THE_SERVER = [
    f"{PSQL}ERROR:  53200: out of shared memory",
    f'{PSQL}ERROR:  53100: could not extend file "base/5/1": No space left on device',
    f"{PSQL}FATAL:  57P01: ukončuji spojení na žádost administrátora",
    f'{PSQL}ERROR:  08001: could not connect to server "dálava"',
    f"{PSQL}psql: error: connection to server was lost",
    f"{QUERY}out of shared memory",
    f'{QUERY}could not connect to server "dálava"',
    f'{QUERY}could not extend file "base/5/1": No space left on device',
    f'{ARCHIVE}connection to server at "127.0.0.1", port 5433 failed: FATAL:  too many clients',
    f"{ARCHIVE}could not read from input file: Input/output error",
]
OF_NOBODY_KNOWN = [
    f"{PSQL}ERROR:  42704: role \"kajovo\" does not exist",
    f"{PSQL}ERROR:  22023: invalid value for parameter \"default_tablespace\": \"fast\"",
    f"{PSQL}ERROR:  0A000: ICU is not supported in this build",
    f"{PSQL}ERROR:  42501: must be able to SET ROLE \"kajovo\"",
    f"{PSQL}ERROR:  P0001: relation \"t\" does not exist",
    f"{QUERY}role \"kajovo\" does not exist",
    f"{QUERY}ICU is not supported in this build | Command was: syntax error",
    f"{QUERY}extension \"uuid-ossp\" is not available",
    f"{QUERY}relace „public.t“ neexistuje",
    f"{ARCHIVE}unsupported version (1.17) in file header",
    "pg_restore: killed by signal 9",
]  # fmt: skip
HINTS = {
    OF_THE_SERVER[0]: "raise max_locks_per_transaction",
    OF_THE_SERVER[1]: "free space",
    OF_THE_SERVER[3]: "mend what the server reports",
    OF_NOBODY_KNOWN[0]: "name a server that has it",
    OF_NOBODY_KNOWN[2]: "name a server that has it",
    OF_NOBODY_KNOWN[3]: "the attribute SUPERUSER",
}


@pytest.mark.parametrize("reason", OF_THE_DUMP)
def test_a_message_that_describes_the_dump_blames_the_dump(reason: str) -> None:
    assert fault(reason) == "dump"


@pytest.mark.parametrize("reason", OF_THE_SERVER)
def test_a_server_at_its_end_is_to_blame_itself(reason: str) -> None:
    assert fault(reason) == "server"


@pytest.mark.parametrize("reason", OF_NOBODY_KNOWN)
def test_what_another_server_might_take_blames_nobody(reason: str) -> None:
    assert fault(reason) == "unknown"


@pytest.mark.parametrize(("reason", "step"), HINTS.items())
def test_the_next_step_fits_what_was_said(reason: str, step: str) -> None:
    assert step in next_step(reason)
