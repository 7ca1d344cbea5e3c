"""Under test: that a mistyped setting never leaves a default in force, and no secret is shown.

Real environment variables and real TOML files; the shell's own are removed by the conftest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from kajovo_dr.errors import NotConfigured, SettingError
from kajovo_dr.settings import CONFIG_VARIABLE, PREFIX, Settings

SECRET_URL = "postgresql://kajovo:Tajné-Heslo-42@db.example/kajovo_hotel"


def _set(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name.upper(), value)


def _refused() -> SettingError:
    with pytest.raises(SettingError) as refused:
        Settings.load()
    return refused.value


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kajovo dr.toml"
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    return path


def test_without_any_variable_everything_has_its_default() -> None:
    settings = Settings.load()
    assert settings.database_url is None
    assert settings.backup_format == "plain"
    assert settings.rpo_hours == 24
    assert settings.store_dir == settings.state / "sandbox" / "backups"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("KAJOVO_DR_DATABASE_ULR", "KAJOVO_DR_DATABASE_URL"),
        ("KAJOVO_DR_RPO_HOUR", "KAJOVO_DR_RPO_HOURS"),
        ("kajovo_dr_bakup_dir", "KAJOVO_DR_BACKUP_DIR"),
        ("KAJOVO_DR_CONFIGG", "KAJOVO_DR_CONFIG"),
    ],
)
def test_an_unknown_variable_is_refused_and_the_nearest_one_offered(
    typed: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(typed, "x")
    error = _refused()
    assert str(error) == f"unknown environment variable: {typed}"
    assert error.hint == f"did you mean {meant}?"


def test_an_unknown_variable_like_no_other_gets_the_general_hint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, qqqq=SECRET_URL)
    error = _refused()
    assert error.hint == SettingError.hint
    assert "Heslo" not in error.described()


def test_variables_of_other_programs_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAJOVO_API_DATABASE_URL", "x")
    monkeypatch.setenv("KAJOVO_DRESS", "x")
    Settings.load()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, database_url="", rpo_hours="", migrate_env="")
    settings = Settings.load()
    assert settings.database_url is None
    assert settings.rpo_hours == 24


def test_an_unknown_key_of_the_file_is_refused_and_the_nearest_one_offered(toml: Path) -> None:
    toml.write_text("rto_minute = 5\n")
    error = _refused()
    assert str(error) == f"unknown setting in {toml}: rto_minute"
    assert error.hint == "did you mean rto_minutes?"


def test_a_missing_file_is_an_error_and_never_means_defaults(toml: Path) -> None:
    error = _refused()
    assert str(error) == f"KAJOVO_DR_CONFIG: cannot read {toml}: No such file or directory"
    assert "unset the variable" in error.hint


def test_a_folder_in_place_of_the_file_is_an_error(toml: Path) -> None:
    toml.mkdir()
    assert f"cannot read {toml}" in str(_refused())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"rpo_hours = \n", "line 1"),
        (b"rpo_hours = 5\nrpo_hours = 6\n", "line 2"),
        ('backup_prefix = "hotel-\xe1"\n'.encode("latin-1"), "utf-8"),
        (b"\xff\xfer\x00p\x00o\x00", "utf-8"),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_the_place(
    content: bytes, said: str, toml: Path
) -> None:
    toml.write_bytes(content)
    error = _refused()
    assert str(error).startswith(f"KAJOVO_DR_CONFIG: {toml} is not TOML: ")
    assert said in str(error)


SECRETS = [
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
]


def test_the_secrets_are_the_urls_and_the_login() -> None:
    urls = {"database_url", "restore_url", "dagster_url", "proof_url", "legacy_url"}
    hooks = {"app_stop_url", "app_start_url"}
    alerts = {"alert_urls", "alert_warning_urls", "alert_critical_urls"}
    switches = {"heartbeat_url", "watchdog_url"}
    expected = {*urls, *hooks, *alerts, *switches, "app_email", "app_password"}
    assert set(SECRETS) == expected


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_the_file_is_refused_and_not_repeated(name: str, toml: Path) -> None:
    toml.write_text(f'{name} = "{SECRET_URL}"\n', encoding="utf-8")
    error = _refused()
    assert str(error) == f"{name} is a secret and must not lie in {toml}"
    assert PREFIX + name.upper() in error.hint
    assert "Heslo" not in error.described()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rpo_hours", "a day"),
        ("rpo_hours", "-1"),
        ("connect_timeout_s", "0"),
        ("zstd_level", "20"),
        ("backup_format", "tar"),
        ("backup_prefix", "../../etc"),
        ("backup_prefix", "a/b"),
        ("first_day", "yesterday"),
        ("migrate_driver", "psycopg2 --evil"),
        ("app_login_format", "xml"),
        ("rpo_hours", "inf"),
        ("rto_minutes", "nan"),
        ("dump_timeout_s", "Infinity"),
        ("dump_timeout_s", "1e300"),
        ("app_ready_pause_s", "nan"),
        ("max_shrink", "nan"),
        ("connect_timeout_s", "99999999999"),
    ],
)
def test_a_bad_value_is_refused_with_the_name_of_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, **{name: value})
    message = str(_refused())
    assert message.startswith(f"{PREFIX}{name.upper()}: ")
    assert value not in message


def test_every_bad_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, rpo_hours="x", zstd_level="99")
    message = str(_refused())
    assert "KAJOVO_DR_RPO_HOURS: " in message
    assert "KAJOVO_DR_ZSTD_LEVEL: " in message


def test_no_message_shows_a_secret_beside_a_bad_value(
    monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    toml.write_text("rto_minutes = 0\n")
    _set(monkeypatch, database_url=SECRET_URL, app_password="Tajné-Heslo-42", rpo_hours="x")
    error = _refused()
    assert "Heslo" not in error.described()
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_secret_where_a_list_belongs_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, migrate_env=SECRET_URL)
    error = _refused()
    assert "migrate_env" in str(error).lower()
    assert "Heslo" not in error.described()
    assert "JSON" in error.hint


def test_a_bad_value_inside_an_endpoint_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, app_modules='[{"name": "rooms", "paths": ["/rooms"], "pahts": []}]')
    assert "KAJOVO_DR_APP_MODULES.0.pahts" in str(_refused())


def test_secrets_are_in_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, **dict.fromkeys(SECRETS, SECRET_URL))
    settings = Settings.load()
    assert "Heslo" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.need("database_url") == SECRET_URL


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert not description.endswith(".")


def test_arguments_beat_the_environment_which_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    toml.write_text("restore_jobs = 7\nzstd_level = 7\nmin_tables = 7\n")
    _set(monkeypatch, restore_jobs="8", zstd_level="8")
    settings = Settings.load(restore_jobs=9)
    assert (settings.restore_jobs, settings.zstd_level, settings.min_tables) == (9, 8, 7)
    assert settings.rpo_hours == 24


def test_lists_and_tables_are_read_from_json_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(
        monkeypatch,
        migrate_command='["python", "-m", "alembic"]',
        migrate_env='{"URL": "{sqlalchemy_url}"}',
        app_modules='[{"name": "pokoje", "paths": ["/pokoje?řada=1"]}]',
    )
    settings = Settings.load()
    assert settings.migrate_command == ("python", "-m", "alembic")
    assert settings.migrate_env == {"URL": "{sqlalchemy_url}"}
    assert settings.app_modules[0].paths == ("/pokoje?řada=1",)


def test_the_same_is_read_from_the_file(toml: Path) -> None:
    toml.write_text(
        'migrate_command = ["alembic"]\n[migrate_env]\nURL = "x"\n'
        '[[app_modules]]\nname = "pokoje"\npaths = ["/pokoje"]\nrequired = false\n'
    )
    settings = Settings.load()
    assert settings.migrate_command == ("alembic",)
    assert settings.migrate_env == {"URL": "x"}
    assert [each.name for each in settings.app_modules] == ["pokoje"]
    assert not settings.app_modules[0].required


@pytest.mark.parametrize("value", ["[", "alembic", "['alembic']", '{"a": 1}'])
def test_broken_json_in_a_variable_is_refused_with_its_name(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, migrate_command=value)
    assert "migrate_command" in str(_refused()).lower()


def test_a_text_is_taken_where_a_table_or_a_text_may_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, app_ready_body="READY")
    assert Settings.load().app_ready_body == "READY"
    _set(monkeypatch, app_ready_body='{"status": "ok"}')
    assert Settings.load().app_ready_body == {"status": "ok"}


@pytest.mark.parametrize("name", ["app_login_path", "app_logout_path", "app_csrf_cookie"])
def test_none_switches_a_part_of_the_login_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, **{name: "none"})
    assert getattr(Settings.load(), name) == ""


def test_settings_cannot_be_changed() -> None:
    settings = Settings.load()
    with pytest.raises(ValidationError):
        settings.rpo_hours = 1  # type: ignore[misc]
    assert settings.rpo_hours == 24


def test_an_override_makes_another_settings_object() -> None:
    settings = Settings.load()
    other = settings.with_overrides(rpo_hours=1, database_url=SecretStr("x"))
    assert (other.rpo_hours, settings.rpo_hours) == (1, 24)
    assert other.need("database_url") == "x"


@pytest.mark.parametrize(
    "value", ["127.0.0.1:3000", "mailto:a@b", "http://", "http://[::1", "https://op:heslo@dr.cz/"]
)
def test_a_page_that_is_none_or_has_a_login_is_refused_and_not_shown(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, ui_url=value)
    error = _refused()
    assert str(error).startswith("KAJOVO_DR_UI_URL: ")
    assert "heslo" not in error.described()


@pytest.mark.parametrize("value", [{}, {"migrate_dir": None}])
def test_a_setting_that_a_command_needs_is_named_when_it_is_missing(value: dict[str, Any]) -> None:
    with pytest.raises(NotConfigured) as missing:
        Settings.load(**value).need("migrate_dir")
    assert str(missing.value).startswith("KAJOVO_DR_MIGRATE_DIR is not set (folder to run it in")
    assert missing.value.hint


@pytest.mark.parametrize(
    "value",
    [
        *("a b c d e", "* * * *", "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 1 13 *"),
        *("* * * * 8", "5-1 * * * *", "*/0 * * * *", "*  * * * *", "0 0 30 feb *", "@daily"),
        *("0 0 L * *", "1,,2 * * * *", "mon * * * *", "² * * * *"),
        # what Dagster takes, and reads otherwise than it is written
        *("30 2-2 * * *", "5/20 * * * *", "0 *,5 * * *", "0 0 31 2 sun"),
    ],
)
def test_a_schedule_that_dagster_would_not_read_as_written_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, backup_cron=value)
    assert str(_refused()).startswith("KAJOVO_DR_BACKUP_CRON: ")


@pytest.mark.parametrize(
    "value", ["*/15 0-6,22 1,15 JAN-mar mon-fri", "5 4 29 2 *", "5-59/20 * * * 0-7/2"]
)
def test_a_schedule_of_names_ranges_and_steps_is_taken(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, backup_cron=value)
    assert Settings.load().backup_cron == value


@pytest.mark.parametrize("name", ["state", "backup_dir", "pg_bin", "migrate_dir", "app_ca_file"])
def test_a_path_is_absolute_whatever_was_written(
    name: str, monkeypatch: pytest.MonkeyPatch, toml: Path, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "jana"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "jana"))
    toml.write_text(f'{name} = "~/zálohy"\n', encoding="utf-8")
    assert getattr(Settings.load(), name) == tmp_path / "jana" / "zálohy"
    _set(monkeypatch, **{name: "zálohy"})
    assert getattr(Settings.load(), name) == tmp_path / "zálohy"


@pytest.mark.parametrize("path", ["~no-such-user/x", r"a\u0000b"])
def test_a_path_that_cannot_be_is_refused(path: str, toml: Path) -> None:
    toml.write_text(f'backup_dir = "{path}"\n')
    assert str(_refused()).startswith("KAJOVO_DR_BACKUP_DIR: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes among files")
def test_a_pipe_in_place_of_the_file_is_refused_without_reading_it(toml: Path) -> None:
    os.mkfifo(toml)
    assert str(_refused()) == f"KAJOVO_DR_CONFIG: cannot read {toml}: not a regular file"


@pytest.mark.parametrize("content", ["[" * 100_000, "9" * 5000])
def test_a_file_that_would_break_its_reader_is_refused(content: str, toml: Path) -> None:
    toml.write_text(f"app_modules = {content}\n")
    assert str(_refused()).startswith(f"KAJOVO_DR_CONFIG: {toml} is n")


def test_json_that_would_break_its_reader_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, app_modules="[" * 100_000)
    assert "nested too deeply" in str(_refused())
