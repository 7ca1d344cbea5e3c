"""Every knob once: name, unit, default, environment variable.

A setting named ``backup_dir`` is read from ``KAJOVO_DR_BACKUP_DIR``, else from the TOML file that
``KAJOVO_DR_CONFIG`` names, else has its default. An unknown name in either is an error: a typing
mistake must not silently leave a default in force. Secrets (URLs with passwords, the login)
come from the environment only.

Belongs here: names, types, bounds, defaults. Not here: what the values do.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from kajovo_dr import moments
from kajovo_dr.errors import NotConfigured, SettingError
from kajovo_dr.hotel import (
    ACCOUNTS,
    Endpoint,
    LegacyDomain,
    SqlCheck,
    Statement,
    extra_endpoints,
    five_modules,
    legacy_domains,
    revocations,
)

PREFIX = "KAJOVO_DR_"
#: Names the TOML file; read before the settings themselves.
CONFIG_VARIABLE = PREFIX + "CONFIG"
#: Seconds, minutes or hours at most: more does not fit into every program that waits for them.
_MOST = 2_000_000


def default_state() -> Path:
    """The state folder: per user; for root the system's, because a server that root starts runs as
    an unprivileged user, who must be able to reach its data (``/root`` is closed to it).
    """
    import platformdirs

    dirs = platformdirs.PlatformDirs("kajovo_dr", appauthor=False)
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return Path("/var/lib/kajovo_dr") if as_root else Path(dirs.user_state_dir)


class _StrictEnvironment(EnvSettingsSource):
    """The environment, refusing variables with our prefix that no setting has."""

    def __call__(self) -> dict[str, Any]:
        known = {PREFIX + name.upper() for name in self.settings_cls.model_fields} | {
            CONFIG_VARIABLE
        }
        for variable in os.environ:
            if variable.upper().startswith(PREFIX) and variable.upper() not in known:
                raise _unknown(variable, "environment variable", sorted(known))
        return super().__call__()


class Settings(BaseSettings):
    """All settings, checked. Frozen; make another one with `with_overrides`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        validate_default=False,
        allow_inf_nan=False,
    )

    state: Path = Field(
        default_factory=default_state,
        description="folder of embedded servers, Dagster's files, incident log and default store",
    )

    # the protected database and where it may be restored
    database_url: SecretStr | None = Field(
        None, description="URL of the database to protect; unset: the embedded sandbox hotel"
    )
    restore_url: SecretStr | None = Field(
        None, description="URL of the server that restores go to; unset: that of database_url"
    )
    dagster_url: SecretStr | None = Field(
        None, description="URL of the database of Dagster's own storage; unset: an embedded server"
    )
    maintenance_database: str = Field(
        "postgres", description="database to connect to for CREATE DATABASE and for the mutex"
    )
    pg_bin: Path | None = Field(
        None, description="folder of pg_dump, psql, initdb, ...; unset: the wheel's, else the PATH"
    )
    run_as: str = Field(
        "", description="system user of embedded servers under root; unset: postgres, else nobody"
    )
    connect_timeout_s: int = Field(
        10, ge=1, le=_MOST, description="seconds to wait for a connection"
    )

    # backups
    backup_dir: Path | None = Field(
        None, description="folder of the backups, which must exist; unset: one in the state folder"
    )
    backup_prefix: str = Field(
        "kajovo-postgres",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="first part of every backup's name",
    )
    backup_format: Literal["plain", "custom"] = Field(
        "plain", description="plain: SQL text for psql; custom: compressed archive for pg_restore"
    )
    zstd_level: int = Field(
        1,
        ge=1,
        le=19,
        description="compression of the custom format (1: faster than none, measured)",
    )
    lock_timeout_s: int = Field(
        60,
        ge=1,
        le=_MOST,
        description="seconds that a backup waits for a locked table before it fails",
    )
    dump_timeout_s: float = Field(
        4 * 3600, gt=0, le=_MOST, description="seconds that pg_dump may take"
    )
    min_dump_bytes: int = Field(500, ge=0, description="bytes; a smaller dump is refused")
    min_tables: int = Field(1, ge=0, description="a database with fewer tables is refused")
    max_shrink: float = Field(
        0.5,
        ge=0,
        le=1,
        description="a dump below this part of the previous ones' median is refused; 0: never",
    )
    backup_cron: str = Field(
        "0 */6 * * *",
        description="schedule of the backup (cron, five fields), in the time zone below",
    )
    timezone: str = Field("Europe/Prague", description="time zone of days, schedules and reports")
    first_day: date = Field(
        date(2026, 11, 1), description="first daily partition: the day kajovo_dr was put to work"
    )

    # proof
    fingerprint_table_s: float = Field(
        1800,
        gt=0,
        le=_MOST,
        description="seconds to read one whole table for its fingerprint; one that needs more is "
        "sampled, and its verdicts say so",
    )
    proof_url: SecretStr | None = Field(
        None,
        description="URL of a scratch server, as superuser, never production's; unset: an "
        "embedded one",
    )
    sql_smoke: tuple[SqlCheck, ...] = Field(
        (), description="queries that a proof asks the restored database"
    )
    reprove_cron: str = Field(
        "30 2 * * *", description="schedule of proving old backups again, in the time zone above"
    )
    reprove_count: int = Field(3, ge=1, description="backups to prove again each night at most")
    reprove_minutes: float = Field(
        60, gt=0, le=_MOST, description="minutes after which no further one is begun"
    )
    table_shrink_warn: float = Field(
        0.9, ge=0, le=1, description="a table below this part of its previous rows is a warning"
    )
    table_shrink_error: float = Field(
        0.5, ge=0, le=1, description="a table below this part of its previous rows is an error"
    )
    table_stopped_hours: float = Field(
        48,
        gt=0,
        le=_MOST,
        description="hours without a change of a table that used to change until a warning",
    )

    # objectives
    rpo_warn_hours: float = Field(
        20, gt=0, le=_MOST, description="hours without a backup until a warning"
    )
    rpo_hours: float = Field(24, gt=0, le=_MOST, description="recovery point objective in hours")
    rto_warn_minutes: float = Field(
        60, gt=0, le=_MOST, description="minutes of recovery until a warning"
    )
    rto_minutes: float = Field(
        120, gt=0, le=_MOST, description="recovery time objective in minutes"
    )

    # restore
    restore_timeout_s: float = Field(
        4 * 3600, gt=0, le=_MOST, description="seconds that a restore may take"
    )
    restore_jobs: int = Field(
        0, ge=0, le=64, description="parallel jobs of pg_restore; 0: one per core"
    )

    # the application: everything here is the hotel's by default and nothing of it is in the code
    app_base_url: str = Field(
        "", description="URL of the application's API, such as http://127.0.0.1:8202"
    )
    app_host_header: str = Field(
        "", description="Host header to send; unset: the URL's own (unknown hosts get 400)"
    )
    app_ready_path: str = Field("/ready", description="path of the readiness endpoint")
    app_ca_file: Path | None = Field(
        None, description="PEM file of the authority behind an https base URL; unset: public ones"
    )
    app_ready_body: dict[str, Any] | str = Field(
        {"status": "ready"},
        description="JSON members that a ready answer must have, or a text that it must contain",
    )
    app_ready_attempts: int = Field(20, ge=1, description="readiness: attempts at most")
    app_ready_pause_s: float = Field(
        1.0, ge=0, le=_MOST, description="readiness: seconds between two attempts"
    )
    app_timeout_s: float = Field(10.0, gt=0, le=_MOST, description="seconds for one request")
    app_login_path: str = Field(
        "/api/auth/admin/login", description="path of the login (POST); none: anonymous"
    )
    app_login_format: Literal["json", "form"] = Field("json", description="how the login is sent")
    app_login_body: dict[str, Any] = Field(
        {"email": "{email}", "password": "{password}"},
        description="body of the login; {email} and {password} are filled in",
    )
    app_login_token: str = Field(
        "",
        description="member of the login's JSON answer (a.b: nested) to send as bearer token; "
        "unset: the session is a cookie",
    )
    app_logout_path: str = Field("/api/auth/admin/logout", description="path of the logout; none")
    app_logout_method: Literal["POST", "DELETE", "GET"] = Field(
        "POST", description="method of the logout"
    )
    app_email: SecretStr | None = Field(None, description="login of the smoke test")
    app_password: SecretStr | None = Field(None, description="password of the smoke test")
    app_csrf_cookie: str = Field(
        "kajovo_csrf", description="cookie to send back as CSRF header; none"
    )
    app_csrf_header: str = Field("x-csrf-token", description="CSRF header of requests that write")
    app_modules: tuple[Endpoint, ...] = Field(
        default_factory=five_modules, description="modules of the smoke test, one check each"
    )
    app_extras: tuple[Endpoint, ...] = Field(
        default_factory=extra_endpoints, description="endpoints that catch what the lists miss"
    )

    app_uses_database: bool = Field(
        True,
        description="the smoke test fails unless the application has sessions in the tested "
        "database; false: something between them hides it",
    )

    # stopping and starting the application
    app_stop_command: tuple[str, ...] = Field(
        (), description="command that stops the application, as a list; unset: app_stop_url"
    )
    app_start_command: tuple[str, ...] = Field(
        (), description="command that starts it again, as a list; unset: app_start_url"
    )
    app_stop_url: SecretStr | None = Field(
        None, description="URL that is asked (POST) to stop it, or to begin maintenance"
    )
    app_start_url: SecretStr | None = Field(
        None, description="URL that is asked (POST) to start it, or to end maintenance"
    )
    app_control_timeout_s: float = Field(
        120, gt=0, le=_MOST, description="seconds that stopping or starting may take"
    )
    app_stop_verified: bool = Field(
        True,
        description="an application that still answers that it is ready counts as not stopped; "
        "false: maintenance mode leaves readiness as it is",
    )

    write_probe: bool = Field(
        False, description="after a recovery: write, read and delete one row through the API"
    )
    write_probe_path: str = Field(
        "/api/v1/reports", description="path to POST to; the new row lies below it by its id"
    )
    write_probe_body: dict[str, Any] = Field(
        {"title": "kajovo_dr: zkouška zápisu"}, description="JSON that is posted"
    )

    @field_validator(
        "app_login_path",
        "app_logout_path",
        "app_csrf_cookie",
        "password_hashes_sql",
        mode="before",
    )
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        """``none`` switches a part off: an empty variable counts as unset (`env_ignore_empty`)."""
        return "" if value == "none" else value

    # migration
    migrate_command: tuple[str, ...] = Field(
        (sys.executable, "-m", "alembic"), description="Alembic's command line, as a list"
    )
    migrate_dir: Path | None = Field(
        None, description="folder to run it in (that of alembic.ini); unset with the sandbox only"
    )
    migrate_env: dict[str, str] = Field(
        {"KAJOVO_API_DATABASE_URL": "{sqlalchemy_url}"},
        description="environment of the command; {sqlalchemy_url} is the restored database's URL, "
        "{host}, {port}, {user}, {password} and {dbname} are its parts",
    )
    migrate_driver: str = Field(
        "psycopg", pattern=r"^\w+$", description="driver in {sqlalchemy_url}, such as psycopg2"
    )
    migrate_version_table: str = Field(
        "public.alembic_version", description="Alembic's version table, with its schema"
    )
    migrate_timeout_s: float = Field(
        1800, gt=0, le=_MOST, description="seconds that one Alembic command may take"
    )

    # legacy data, migrated after the schema
    legacy_url: SecretStr | None = Field(
        None, description="URL of the legacy database; unset: nothing is migrated from one"
    )
    legacy_command: tuple[str, ...] = Field(
        (sys.executable, "migrate.py"),
        description="command line of migrate_legacy, as a list; --dry-run and --report-json FILE "
        "are added",
    )
    legacy_dir: Path | None = Field(None, description="folder to run it in")
    legacy_env: dict[str, str] = Field(
        {"LEGACY_DB_URL": "{legacy_url}", "DATABASE_URL": "{sqlalchemy_url}"},
        description="environment of the command; {legacy_url} is the legacy database's URL for "
        "SQLAlchemy, {sqlalchemy_url} and its parts are those of the restored one",
    )
    legacy_domains: tuple[LegacyDomain, ...] = Field(
        default_factory=legacy_domains,
        description="domains of its report, each with a query of its rows in the legacy database",
    )
    legacy_audit_table: str = Field(
        "legacy_migration_audit", description="table in which it records every row it has imported"
    )
    legacy_timeout_s: float = Field(
        1800, gt=0, le=_MOST, description="seconds that one run of it may take"
    )

    # recovery
    revocations: tuple[Statement, ...] = Field(
        default_factory=revocations,
        description="statements that end what a restore would bring back to life: sessions, tokens",
    )
    password_hashes_sql: str = Field(
        ACCOUNTS,
        description="query of (whose, password hash), to name those that a recovery takes back in "
        "time; none",
    )
    auto_undo: bool = Field(
        False,
        description="a recovery whose application is not ready or fails its smoke test is undone "
        "at once; false: it is left in place and undo is offered",
    )
    keep_replaced_days: float = Field(
        14,
        ge=0,
        le=_MOST,
        description="days to keep the database that a recovery replaced, for undo; it is never "
        "dropped before its successor has a proven backup",
    )
    cleanup_cron: str = Field(
        "30 5 * * *", description="schedule of dropping replaced databases, in the time zone above"
    )
    language: Literal["en", "cs"] = Field(
        "en", description="language of reports: en (English) or cs (Czech)"
    )

    # the drill
    drill_cron: str = Field(
        "0 4 1 * *", description="schedule of the monthly drill, in the time zone above"
    )
    drill_app_command: tuple[str, ...] = Field(
        (),
        description="command that starts a second instance of the application, as a list; {port} "
        "is the port of 127.0.0.1 that it must listen on",
    )
    drill_app_dir: Path | None = Field(None, description="folder to run it in")
    drill_app_env: dict[str, str] = Field(
        {
            "KAJOVO_API_DATABASE_URL": "{sqlalchemy_url}",
            "KAJOVO_API_ADMIN_EMAIL": "{email}",
            "KAJOVO_API_ADMIN_PASSWORD": "{password}",
        },
        description="environment of the command; {sqlalchemy_url} is the drill's database, {email} "
        "and {password} are the smoke test's login, {port} is as in the command",
    )
    drill_application: bool = Field(
        True, description="the drill starts the application; false: it ends with the database"
    )
    drill_overdue_days: float = Field(
        40, gt=0, le=_MOST, description="days without a drill that passed until a warning"
    )

    # alerts
    alert_urls: SecretStr | None = Field(
        None,
        description="where alerts go: Apprise URLs with spaces between them, such as "
        "mailtos://USER:PASSWORD@HOST?to=ADDRESS, ntfys://TOPIC, slack://TOKENS",
    )
    alert_warning_urls: SecretStr | None = Field(
        None, description="more of them, which get warnings alone"
    )
    alert_critical_urls: SecretStr | None = Field(
        None, description="more of them, which get only what is critical, such as a pager"
    )
    alert_timeout_s: float = Field(
        20, gt=0, le=600, description="seconds that a channel may take to accept a message"
    )
    alert_repeat_hours: float = Field(
        0, ge=0, le=_MOST, description="hours after which what lasts is said again; 0: never"
    )
    heartbeat_url: SecretStr | None = Field(
        None,
        description="URL of a dead man's switch, asked (GET) after each newly proven backup; "
        "/start and /fail are added to it when a backup begins and when one fails",
    )
    watchdog_url: SecretStr | None = Field(
        None,
        description="URL of another one, asked (GET) whenever the watchdog has looked; /fail is "
        "added to it while something is worse than a warning",
    )
    ui_url: str = Field(
        "",
        description="URL of the Dagster UI, such as http://127.0.0.1:3000: for the links in "
        "alerts, and where the watchdog asks after the daemon",
    )
    watch_dagster: bool = Field(
        True,
        description="Dagster's daemon must show that it lives; false: backups are taken without it",
    )
    daemon_silent_minutes: float = Field(
        15, gt=0, le=_MOST, description="minutes without a look of Dagster's daemon until an alert"
    )
    watchdog_silent_minutes: float = Field(
        60,
        gt=0,
        le=_MOST,
        description="minutes without a look of the watchdog until a warning, once it has looked",
    )
    store_warn_days: float = Field(
        14, gt=0, le=_MOST, description="days until the store's disk is full, for a warning"
    )
    store_fail_days: float = Field(3, gt=0, le=_MOST, description="the same, for a critical alert")
    metrics_file: Path | None = Field(
        None,
        description="file of metrics, written anew at each look, such as kajovo_dr.prom in the "
        "folder of node_exporter's textfile collector; every user can read it",
    )

    @field_validator(
        "state",
        "backup_dir",
        "pg_bin",
        "migrate_dir",
        "app_ca_file",
        "legacy_dir",
        "drill_app_dir",
        "metrics_file",
    )
    @classmethod
    def _full_path(cls, value: Path | None) -> Path | None:
        """No shell expands ``~`` in a file, and Dagster's processes start in other folders."""
        if value is None:
            return None
        if "\0" in str(value):
            raise ValueError("a path has no NUL character")
        try:
            return value.expanduser().absolute()
        except RuntimeError:
            raise ValueError("no home folder is known for what ~ stands for") from None

    @field_validator("backup_cron", "reprove_cron", "cleanup_cron", "drill_cron")
    @classmethod
    def _known_cron(cls, value: str) -> str:
        moments.check_cron(value)
        return value

    @field_validator("ui_url")
    @classmethod
    def _a_page(cls, value: str) -> str:
        """It stands in every alert, so that it must not hold a login."""
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("it is no URL of a page, such as http://127.0.0.1:3000")
        if parts.username or parts.password:
            raise ValueError("a login in it would be shown in alerts: leave it out")
        return value.rstrip("/")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is no time zone, such as Europe/Prague") from None
        return value

    @field_validator("app_modules", "app_extras", "sql_smoke", "revocations", "legacy_domains")
    @classmethod
    def _distinct_names(
        cls, value: tuple[Endpoint | SqlCheck | Statement | LegacyDomain, ...]
    ) -> tuple[Endpoint | SqlCheck | Statement | LegacyDomain, ...]:
        if len({each.name for each in value}) != len(value):
            raise ValueError("two of them have the same name")
        return value

    @model_validator(mode="after")
    def _warnings_come_first(self) -> Self:
        for warn, limit in (
            ("rpo_warn_hours", "rpo_hours"),
            ("rto_warn_minutes", "rto_minutes"),
            ("store_fail_days", "store_warn_days"),
        ):
            if getattr(self, warn) >= getattr(self, limit):
                raise ValueError(
                    f"{PREFIX}{warn.upper()} must be less than {PREFIX}{limit.upper()}"
                )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, TOML file."""
        return (
            init_settings,
            _StrictEnvironment(settings_cls),
            InitSettingsSource(settings_cls, _config_file(settings_cls)),
        )

    @classmethod
    def load(cls, **overrides: Any) -> Settings:
        """Read the settings; raises `SettingError` naming every wrong one, never showing a value
        that may be secret.
        """
        try:
            return cls(**overrides)
        except ValidationError as invalid:
            raise SettingError("; ".join(_complaint(error) for error in invalid.errors())) from None
        except SettingsError as invalid:
            # its words name pydantic's parts; ours are the variable and the form
            named = re.search(r'field "(\w+)"', str(invalid))
            variable = PREFIX + (named[1].upper() if named else "*")
            raise SettingError(
                f"{variable} is not JSON",
                hint="lists and tables are written as JSON in a variable, or in the TOML file.",
            ) from None
        except RecursionError:
            raise SettingError("a list or table in a setting is nested too deeply") from None

    @classmethod
    def for_alerts(cls) -> Settings:
        """What telling people needs, from the environment alone, and all else by default: for when
        another setting is wrong. Nothing is checked.
        """
        wanted = ("alert_urls", "alert_warning_urls", "alert_critical_urls", "watchdog_url")
        given: dict[str, Any] = {
            name: SecretStr(value)
            for name in wanted
            if (value := os.environ.get(PREFIX + name.upper()))
        }
        if os.environ.get(PREFIX + "LANGUAGE") == "cs":
            given["language"] = "cs"
        return cls.model_construct(**given)

    def with_overrides(self, **overrides: Any) -> Settings:
        """A copy with some settings replaced (already checked values only)."""
        return self.model_copy(update=overrides)

    @property
    def store_dir(self) -> Path:
        """The backup folder in force; the sandbox has one of its own, lest its backups be restored
        as those of a real database of the same name.
        """
        sandbox = self.database_url is None
        return self.backup_dir or self.state / ("sandbox/backups" if sandbox else "backups")

    def need(self, name: str) -> Any:
        """The value of a setting that the caller cannot do without; raises `NotConfigured`."""
        value = getattr(self, name)
        if value in (None, ""):
            what = type(self).model_fields[name].description
            raise NotConfigured(
                f"{PREFIX}{name.upper()} is not set ({what})",
                hint="set it, or let kajovo-dr up start the sandbox hotel, which needs no setting.",
            )
        return value.get_secret_value() if isinstance(value, SecretStr) else value


def _config_file(settings_cls: type[BaseSettings]) -> dict[str, Any]:
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        return {}
    content = _toml(path)
    for name in content:
        field = settings_cls.model_fields.get(name)
        if field is None:
            raise _unknown(name, f"setting in {path}", sorted(settings_cls.model_fields))
        if field.annotation == SecretStr | None:
            raise SettingError(
                f"{name} is a secret and must not lie in {path}",
                hint=f"set the environment variable {PREFIX}{name.upper()} instead.",
            )
    return content


def _toml(path: str) -> dict[str, Any]:
    try:
        file = Path(path).expanduser()
        if file.exists() and not file.is_file():  # reading a pipe would wait for ever
            raise OSError(0, "not a regular file")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except RecursionError:
        raise SettingError(f"{CONFIG_VARIABLE}: {path} is nested too deeply") from None
    except (OSError, RuntimeError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else "no such home folder"
        raise SettingError(
            f"{CONFIG_VARIABLE}: cannot read {path}: {why}",
            hint="name an existing TOML file, or unset the variable.",
        ) from None
    except ValueError as failure:  # wrong syntax, not UTF-8, a number of thousands of digits
        raise SettingError(
            f"{CONFIG_VARIABLE}: {path} is not TOML: {failure}", hint="mend the line it names."
        ) from None


def _unknown(name: str, kind: str, known: list[str]) -> SettingError:
    ours = {each.removeprefix(PREFIX).lower(): each for each in known}
    typed = name.upper().removeprefix(PREFIX).lower()
    near = difflib.get_close_matches(typed, ours, n=1)
    hint = f"did you mean {ours[near[0]]}?" if near else SettingError.hint
    return SettingError(f"unknown {kind}: {name}", hint=hint)


def _complaint(error: Mapping[str, Any]) -> str:
    said = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:  # about several settings, which the message names
        return said
    name, *inner = (str(part) for part in error["loc"])
    where = PREFIX + name.upper() + "".join(f".{part}" for part in inner)
    return f"{where}: {said[:1].lower()}{said[1:]}"
