"""The write probe: one row written, read, deleted and missed through the application's API.

Belongs here: the order, and saying what was left behind. Not here: reading what is there already
(``smoke``). Of the hotel's modules reports leave the least: two audit rows and a number.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from kajovo_dr.errors import NotReady, SmokeFailed
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery.answer import Answer, member
from kajovo_dr.recovery.application import Application, login_body
from kajovo_dr.settings import Settings


def write_probe(settings: Settings, *, progress: Progress = silent) -> str:
    """Log in, write, read, delete, log out; what was done.

    Whatever happens, deleting is tried. Raises `SmokeFailed` (it says when a row was left behind),
    `NotConfigured`, `NotReady` and `LoginRefused`.
    """
    credentials = login_body(settings)
    with Application(settings) as application:
        if credentials is not None:
            application.login(credentials)
        try:
            progress("write probe", 0, None)
            return _probed(settings, application)
        finally:
            application.logout()


def _probed(settings: Settings, application: Application) -> str:
    path = settings.write_probe_path
    row = _written(settings, application)
    place = f"{path.rstrip('/')}/{quote(row, safe='')}"
    try:
        wrong = _wrong("reading", lambda: application.get(place), 200)
    finally:
        left = _wrong("deleting", lambda: application.delete(place), 204, 200)
    if left:
        raise SmokeFailed(
            f"write probe: {'; '.join(filter(None, (wrong, left)))}; row {row} was left behind at "
            f"{place}",
            hint="delete it by hand, and look at the application's log for these requests.",
        )
    if wrong:
        raise SmokeFailed(f"write probe: {wrong}; row {row} was deleted again")
    if there := _wrong("reading after deleting", lambda: application.get(place), 404):
        raise SmokeFailed(
            f"write probe: {there}; row {row} may be left behind at {place}",
            hint="look whether it is there and delete it by hand.",
        )
    return f"row {row} written, read and deleted at {path}"


def _written(settings: Settings, application: Application) -> str:
    """Write the row; its id."""
    path = settings.write_probe_path
    try:
        answer = application.post(path, settings.write_probe_body)
    except NotReady as failure:
        raise SmokeFailed(
            f"write probe: writing: {failure}; whether a row was left behind is not known",
            hint=f"look for the row of KAJOVO_DR_WRITE_PROBE_BODY at {path} and delete it by hand.",
        ) from None
    if answer.status not in (201, 200):
        raise SmokeFailed(
            f"write probe: writing to {path} {answer.described()}, not 201",
            hint="look at the application's log, and at KAJOVO_DR_WRITE_PROBE_BODY.",
        )
    row = _id(answer)
    if not row:
        raise SmokeFailed(
            f"write probe: writing to {path} {answer.described()}, without an id; the row was left "
            "behind",
            hint="the answer must be a JSON object with the new row's id.",
        )
    return row


def _id(answer: Answer) -> str:
    try:
        found = member(answer.json(), "id")
    except ValueError:
        return ""
    return str(found) if isinstance(found, int | str) and not isinstance(found, bool) else ""


def _wrong(what: str, ask: Callable[[], Answer], *statuses: int) -> str:
    """What is wrong with an answer; empty when it has one of the statuses."""
    try:
        answer = ask()
    except NotReady as failure:
        return f"{what}: {failure}"
    if answer.status in statuses:
        return ""
    return f"{what} {answer.described()}, not {statuses[0]}"
