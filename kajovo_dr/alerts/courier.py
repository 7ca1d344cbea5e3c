"""One message through one Apprise URL, and why it was not taken.

Belongs here: how Apprise is set and called. Not here: who gets what, in which order and within
which time (``channels``), and what Apprise logs of it (``overheard``).
"""

from __future__ import annotations

import functools
import re
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from kajovo_dr.alerts import overheard
from kajovo_dr.alerts.message import Message
from kajovo_dr.alerts.overheard import listening

if TYPE_CHECKING:
    from apprise import AppriseAsset, NotifyBase

_SCHEMA = re.compile(r"([a-z0-9]{1,32})://", re.IGNORECASE)
#: Two URLs with a comma between them would be one, whose end is lost.
_COMMA = re.compile(r"[,;|]$|[,;|][a-z0-9]{1,32}://", re.IGNORECASE)
_TYPES = {"warning": "WARNING", "critical": "FAILURE", "over": "SUCCESS", "test": "INFO"}
#: Seconds between the parts of one message, at most: Apprise's 5.5 would not end in time.
_PACE_S = 1.0


class Reading(NamedTuple):
    """What a URL is: its schema, or what is wrong with it; neither holds any other part of it."""

    schema: str
    problem: str = ""


class Outcome(NamedTuple):
    """Whether a message was accepted, and what is known of it. perhaps: nobody answered in time."""

    arrived: bool
    said: str
    perhaps: bool = False


def read(url: SecretStr) -> Reading:
    """Whether Apprise can use a URL, without asking its service."""
    _load()
    text = url.get_secret_value()
    found = _SCHEMA.match(text)
    if found is None:
        return Reading("", "has no schema such as mailtos:// at its beginning")
    if _COMMA.search(text):
        return Reading("", "has a comma or semicolon where a space belongs")
    with listening() as heard:
        plugin = _plugin(url)
        schema = _known(found[1].lower(), plugin)
    if plugin is None and not schema:
        return Reading("", "is of no service that Apprise knows")
    if plugin is None:
        return Reading(schema, f"({schema}) is not complete, or not one that works on this system")
    if heard.dropped:
        return Reading(schema, f"({schema}) names a receiver that cannot be one")
    if len(getattr(plugin, "targets", ())) > 1:  # refused by one, it would come again to the others
        return Reading(schema, f"({schema}) names several receivers: write one URL for each")
    return Reading(schema)


def send(url: SecretStr, message: Message, timeout_s: float) -> Outcome:
    """Send a message. timeout_s: for each wait on the network; the whole may take longer."""
    with listening() as heard:
        try:
            arrived, mail = _sent(url, message, timeout_s)
        except Exception as failure:  # noqa: BLE001 (some hundred services, each raising its own)
            arrived = mail = False
            heard.failure = failure
    if not arrived:
        return Outcome(False, heard.why(timeout_s), heard.timed_out)
    who = "mail server; whether it reaches the mailbox" if mail else "receiver; whether it is read"
    return Outcome(True, f"accepted by the {who} is not known")


def _sent(url: SecretStr, message: Message, timeout_s: float) -> tuple[bool, bool]:
    """Whether it was accepted, and whether it went by mail."""
    import urllib3
    from apprise import NotifyFormat, NotifyType, OverflowMode
    from apprise.plugins.email import NotifyEmail

    urllib3.disable_warnings()  # of ?verify=no, which somebody chose: the warning names the host
    plugin = _plugin(url)
    if plugin is None:
        return False, False
    plugin.socket_connect_timeout = plugin.socket_read_timeout = timeout_s
    plugin.request_rate_per_sec = min(plugin.request_rate_per_sec, _PACE_S)
    overheard.deafen()  # the loggers of what was imported for this plugin, too
    # the plugin's own method: Apprise.notify() would wait in a pool whose threads hold up the exit,
    # would obey ?retry= and ?optional= in the URL, and would replace words such as :smile:
    arrived = plugin.notify(
        body=message.body if message.body.strip() else message.title,
        title=" ".join(message.title.split()),
        notify_type=NotifyType[_TYPES[message.kind]],
        body_format=NotifyFormat.TEXT,
        overflow=OverflowMode.SPLIT,  # what is too long comes in parts
    )
    return bool(arrived), isinstance(plugin, NotifyEmail)


def _plugin(url: SecretStr) -> NotifyBase | None:
    """A new one for each message: it remembers when it last sent, and would wait."""
    from apprise import Apprise

    try:
        return Apprise.instantiate(url.get_secret_value(), asset=_asset())
    except Exception:  # noqa: BLE001 (parsing is each service's own code; its error quotes the URL)
        return None


def _known(schema: str, plugin: Any) -> str:
    """The schema if it is one of Apprise's; else that of the service whose own URL it was."""
    if schema in _services():
        return schema
    return "" if plugin is None else str(plugin.url(privacy=True)).partition("://")[0]


@functools.cache
def _asset() -> AppriseAsset:
    from apprise import AppriseAsset

    return AppriseAsset(
        app_id="kajovo_dr",
        app_desc="Disaster recovery",
        app_url="",
        # no pictures, from nowhere
        image_url_mask="",
        image_url_logo="",
        image_path_mask="",
        storage_mode="memory",  # nothing on disk
        pgp_autogen=False,
        pem_autogen=False,
        # a POST that is sent elsewhere becomes a GET without its message, and that is answered well
        http_redirects=False,
    )


@functools.cache
def _load() -> None:
    """Import Apprise and all its services, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they import what is deprecated
        _services().load_modules()


def _services() -> Any:  # its module has no types
    from apprise.manager_plugins import NotificationManager

    manager: Any = NotificationManager
    return manager()
