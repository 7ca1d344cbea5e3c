"""Looks in processes of their own that are killed at one point.

Run as ``python -m kajovo_dr_tests.watch.killed_look``: reads orders, one JSON line each (observer,
now, uptime_s, point), forks for each, so that everything is imported once, and writes how it ended:
``killed`` or ``looked``. Not here: which looks, and what must be true afterwards (``month``).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime
from typing import Any

from kajovo_dr.alerts import delivery, ledger
from kajovo_dr.settings import Settings
from kajovo_dr.watch.look import look

#: Where the blow falls: module, function that is never entered.
POINTS = {
    "before the ledger is written": (ledger, "_write"),
    "before sending": (delivery, "deliver"),
    "after sending": (delivery, "_note"),
}


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _look(order)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended = os.waitstatus_to_exitcode(status)
        assert ended in (0, -signal.SIGKILL), ended
        sys.stdout.write("killed\n" if ended else "looked\n")
        sys.stdout.flush()


def _look(order: dict[str, Any]) -> None:
    module, name = POINTS[order["point"]]
    setattr(module, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    now = datetime.fromisoformat(order["now"])
    look(Settings.load(), order["observer"], now, uptime=lambda: order["uptime_s"])


if __name__ == "__main__":
    main()
