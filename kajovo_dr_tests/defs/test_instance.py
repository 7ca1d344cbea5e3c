"""``dagster.yaml`` as Dagster loads it: storage in PostgreSQL, files in the state folder only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster_postgres import PostgresRunStorage

from kajovo_dr.defs.instance import PostgresStorage
from kajovo_dr.defs.launch import dagster_home
from kajovo_dr.errors import UrlError
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def storage(new_database: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    """A database for Dagster, whose name and password must survive being put into a URL."""
    server = new_database("dagster % č. 2")
    monkeypatch.setenv("KAJOVO_DR_DAGSTER_URL", server.url())
    return server


def test_runs_are_kept_in_postgresql_and_files_in_the_state_folder(
    settings: Settings, storage: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(settings)))
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_storage, PostgresRunStorage)
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 12 * 3600
        assert not instance.telemetry_enabled
        assert instance.get_settings("freshness") == {"enabled": True}
        assert Path(instance.storage_directory()).is_relative_to(settings.state)
        limits = instance.get_concurrency_config().run_queue_config
        assert limits is not None
        (limit,) = limits.tag_concurrency_limits
        assert limit["key"] == "kajovo_dr/target"
        dg.materialize([_nothing], instance=instance)
        assert instance.get_runs_count() == 1
    with psycopg.connect(storage.conninfo()) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_a_bad_address_is_told_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAJOVO_DR_DAGSTER_URL", "postgresql://u:tajné/heslo@h/db")
    with pytest.raises(UrlError, match="KAJOVO_DR_DAGSTER_URL") as refused:
        PostgresStorage.from_config_value(None, {})
    assert "heslo" not in refused.value.described()


@pytest.mark.parametrize("tool", ["dagster", "dg"])
def test_the_definitions_load_in_a_clone_without_any_setting(state: Path, tool: str) -> None:
    if tool == "dg" and not _script("dg").exists():
        pytest.skip("dagster-dg-cli is not installed")
    words = ["definitions", "validate"] if tool == "dagster" else ["check", "defs"]
    before = {path.name for path in ROOT.iterdir()}
    done = subprocess.run(
        [_script(tool), *words],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
        | {"KAJOVO_DR_STATE": str(state), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in ROOT.iterdir()} == before
    assert {path.name for path in state.iterdir()} == {"dagster", "embedded"}


def test_workspace_and_pyproject_name_the_same_module() -> None:
    import tomllib

    import yaml

    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    (entry,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    module = entry["python_module"]["module_name"]
    assert pyproject["dagster"]["module_name"] == module
    assert pyproject["dg"]["project"]["code_location_target_module"] == module


def _script(name: str) -> Path:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    return Path(found) if found else Path(sys.executable).parent / name


@dg.asset
def _nothing() -> None:
    pass
