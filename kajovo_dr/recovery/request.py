"""What an operator asks of a recovery, and the names that its databases get.

Belongs here: the request, read and checked. Not here: whether it can be done (``preflight``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from kajovo_dr import moments
from kajovo_dr.errors import NotConfirmed, SettingError
from kajovo_dr.postgres.server import LONGEST_NAME

#: What stands between a database's name and a recovery's short id.
ROOM, REPLACED, UNDONE = "__restore_", "__before_", "__undone_"


@dataclass(frozen=True)
class Request:
    """One recovery as it was asked for.

    database: the name that the restored database has at the end; one that has it now is replaced
    and kept. confirm: the same name, typed again; None: it will be asked for. backup: empty is the
    newest proven one before incident_at. database_only: leave the application alone.
    """

    database: str
    confirm: str | None
    who: str
    note: str = ""
    incident_at: datetime | None = None
    detected_at: datetime | None = None
    backup: str = ""
    database_only: bool = False
    create_roles: bool = False

    @property
    def before(self) -> datetime:
        """The moment before which the backup's snapshot must lie."""
        return self.incident_at or datetime.now(UTC)


def require_confirmed(database: str, typed: str) -> None:
    """Raise `NotConfirmed` unless the name was typed again, exactly."""
    if typed != database:
        raise NotConfirmed(
            f"{typed!r} was typed as confirmation, the database is {database!r};"
            " nothing was changed"
        )


def past_moment(text: str, name: str, timezone: str) -> datetime | None:
    """A moment that somebody typed; None for no text. Raises `SettingError` for a future one.

    timezone: of one without an offset: nobody knows it by heart at 3 a.m.
    """
    if not text.strip():
        return None
    at = moments.parse(text.strip(), name, timezone)
    if at > datetime.now(UTC):
        raise SettingError(
            f"{name} {text} lies in the future", hint="check the offset; leave it empty for now."
        )
    return at


def beside(database: str, between: str, short: str) -> str:
    """``hotel__restore_1a2b3c4d``: the name of a database beside the one that is recovered.

    A name that would not fit is cut and told apart by a digest of the whole.
    """
    ending = f"{between}{short}"
    room = LONGEST_NAME - len(ending)
    if len(database.encode()) > room:
        digest = hashlib.sha256(database.encode()).hexdigest()[:8]
        cut = database.encode()[: room - 9].decode("utf-8", "ignore")
        database = f"{cut}_{digest}"
    return f"{database}{ending}"
