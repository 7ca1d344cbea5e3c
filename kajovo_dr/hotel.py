"""What settings say of an application: endpoints, queries and statements; by default the hotel's.

Belongs here: the models of such settings, and the hotel's values, which are in no other place of
the code. Not here: what is done with them.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Endpoint(BaseModel):
    """One thing that the smoke test reads with a login.

    A module counts what its paths return together and compares that with `count_sql`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[A-Za-z0-9_]{1,60}$", description="name in the report and of the check"
    )
    paths: tuple[str, ...] = Field(description="GET paths; their lists are counted together")
    count_sql: str = Field("", description="query of one number that the lists must add up to")
    params_sql: str = Field(
        "",
        description="query of at most one row; its columns fill {name} in paths; no row: skipped",
    )
    items: str = Field(
        "",
        description="member of the JSON answer that holds the list or its length (a.b: nested); "
        "unset: the answer itself is the list",
    )
    expect: Literal["json", "bytes"] = Field("json", description="what the body must be")
    required: bool = Field(
        True, description="false: a failure is a warning, not a failed smoke test"
    )


class SqlCheck(BaseModel):
    """A query of the operator's that a proof asks the restored database."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_]{1,60}$", description="name in the verdict")
    sql: str = Field(description="one query; the first column of its first row is judged")
    expect: bool | int | float | str | None = Field(
        None, description="the value that it must return"
    )
    at_least: float | None = Field(None, description="or the smallest number that it may return")
    at_most: float | None = Field(None, description="or the largest one")

    @model_validator(mode="after")
    def _judges_something(self) -> Self:
        if self.expect is None and self.at_least is None and self.at_most is None:
            raise ValueError("one of expect, at_least and at_most must be given")
        return self


def five_modules() -> tuple[Endpoint, ...]:
    lost_found = tuple(
        f"/api/v1/lost-found?status={status}"  # unfiltered, the list hides all but `new`
        for status in ("new", "stored", "claimed", "returned", "disposed")
    )
    return (
        Endpoint(
            name="breakfast",
            paths=("/api/v1/breakfast",),
            count_sql="SELECT count(*) FROM breakfast_orders WHERE guest_count > 0",
        ),
        Endpoint(
            name="lost_found", paths=lost_found, count_sql="SELECT count(*) FROM lost_found_items"
        ),
        Endpoint(name="issues", paths=("/api/v1/issues",), count_sql="SELECT count(*) FROM issues"),
        Endpoint(
            name="inventory",
            paths=("/api/v1/inventory",),
            count_sql="SELECT count(*) FROM inventory_items",
        ),
        Endpoint(
            name="reports", paths=("/api/v1/reports",), count_sql="SELECT count(*) FROM reports"
        ),
    )


def extra_endpoints() -> tuple[Endpoint, ...]:
    photo = (
        "SELECT 'issues' AS module, issue_id AS parent, id FROM issue_photos "
        "UNION ALL SELECT 'reports', report_id, id FROM report_photos "
        "UNION ALL SELECT 'lost-found', item_id, id FROM lost_found_photos ORDER BY 1, 3 LIMIT 1"
    )
    return (
        Endpoint(
            name="inventory_movements",
            paths=("/api/v1/inventory/movements",),
            count_sql="SELECT count(*) FROM inventory_movements",
        ),
        Endpoint(
            name="inventory_cards",
            paths=("/api/v1/inventory/cards",),
            count_sql="SELECT count(*) FROM inventory_cards",
        ),
        Endpoint(
            name="inventory_item",
            paths=("/api/v1/inventory/{id}",),
            params_sql="SELECT id FROM inventory_items ORDER BY id LIMIT 1",
        ),
        Endpoint(
            name="users", paths=("/api/v1/users",), count_sql="SELECT count(*) FROM portal_users"
        ),
        Endpoint(
            name="breakfast_summary",
            paths=("/api/v1/breakfast/daily-summary?service_date={day}",),
            params_sql="SELECT max(service_date)::text AS day FROM breakfast_orders "
            "HAVING max(service_date) IS NOT NULL",
        ),
        Endpoint(name="smtp_settings", paths=("/api/v1/admin/settings/smtp",)),
        # Photos lie outside the database: a missing file is worth a warning, not a failed recovery.
        Endpoint(
            name="photo",
            paths=("/api/v1/{module}/{parent}/photos/{id}/original",),
            params_sql=photo,
            expect="bytes",
            required=False,
        ),
    )


class Statement(BaseModel):
    """A statement that changes the restored database before the application meets it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_]{1,60}$", description="name in the report")
    sql: str = Field(description="one statement; its number of rows is reported")
    table: str = Field(
        "", description="table without which it is left out; unset: it must always succeed"
    )


class LegacyDomain(BaseModel):
    """A domain of a legacy migration's report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="name in the report")
    count_sql: str = Field(description="query of its rows in the legacy database")


def revocations() -> tuple[Statement, ...]:
    """The hotel's sessions, tokens, challenges and locks: a restore would bring them back to life.

    Source: facts of the production stack, each tried on the real application.
    """
    return (
        Statement(
            name="sessions",
            table="auth_sessions",
            sql="UPDATE auth_sessions SET revoked_at = now(), updated_at = now()"
            " WHERE revoked_at IS NULL",
        ),
        Statement(
            name="unlock_tokens",
            table="auth_unlock_tokens",
            sql="UPDATE auth_unlock_tokens SET used_at = now() WHERE used_at IS NULL",
        ),
        Statement(
            name="device_tokens",
            table="device_access_tokens",
            sql="UPDATE device_access_tokens SET revoked_at = now() WHERE revoked_at IS NULL",
        ),
        Statement(
            name="device_challenges",
            table="device_challenges",
            sql="UPDATE device_challenges SET consumed_at = now() WHERE consumed_at IS NULL",
        ),
        Statement(
            name="lockouts",
            table="auth_lockout_states",
            sql="UPDATE auth_lockout_states SET failed_attempts = 0, first_failed_at = NULL,"
            " locked_until = NULL, updated_at = now()"
            " WHERE failed_attempts > 0 OR locked_until IS NOT NULL",
        ),
    )


#: Whose password hash it is, and the hash: of the hotel's two kinds of account.
ACCOUNTS = (
    "SELECT 'portal ' || email, password_hash FROM portal_users"
    " UNION ALL SELECT 'admin ' || email, password_hash FROM admin_profile"
)


def legacy_domains() -> tuple[LegacyDomain, ...]:
    """What the hotel's migrate_legacy scans of its legacy database."""
    return (
        LegacyDomain(name="snidane", count_sql="SELECT count(*) FROM breakfast_entries"),
        LegacyDomain(
            name="ztraty-a-nalezy",
            count_sql="SELECT count(*) FROM reports WHERE report_type::text = 'FIND'",
        ),
        LegacyDomain(
            name="zavady",
            count_sql="SELECT count(*) FROM reports WHERE report_type::text = 'ISSUE'",
        ),
        LegacyDomain(
            name="sklad",
            count_sql="SELECT (SELECT count(*) FROM inventory_ingredients)"
            " + (SELECT count(*) FROM inventory_stock_card_lines)",
        ),
    )
