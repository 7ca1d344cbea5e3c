"""Asking the Dagster UI whether the parts of its daemon live.

Belongs here: one question over HTTP, without Dagster's own code or its database. Not here: what an
answer means (``machine_sources``).
"""

from __future__ import annotations

from typing import Any

from kajovo_dr.errors import DrError, NotReady

_QUESTION = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


def dead_parts(ui_url: str, timeout_s: float) -> list[str]:
    """The types of required daemons that do not live, such as SCHEDULER.

    Raises `NotReady` when the UI does not answer or says something else.
    """
    try:
        answer = _asked(f"{ui_url}/graphql", timeout_s)
        statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
        return sorted(
            str(each["daemonType"]) for each in statuses if each["required"] and not each["healthy"]
        )
    except (KeyError, TypeError, ValueError):
        raise _silent("its answer is none of Dagster's") from None


def _asked(url: str, timeout_s: float) -> Any:
    import httpx

    try:
        answer = httpx.post(url, json={"query": _QUESTION}, timeout=timeout_s, trust_env=False)
        answer.raise_for_status()
        return answer.json()
    except httpx.HTTPStatusError as refused:
        raise _silent(f"HTTP {refused.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        raise _silent(type(failure).__name__) from None


def _silent(why: str) -> DrError:
    return NotReady(
        f"{why}, asked at KAJOVO_DR_UI_URL", hint="start it: kajovo-dr up; or mend the setting."
    )
