"""Under test: the shape of the house, read from the source with `ast`.

What ruff's banned imports cannot say: the direction of the arrows, charters, and lazy imports.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import kajovo_dr

PACKAGE = Path(kajovo_dr.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
#: Room -> rooms that it may know: `recovery` no Dagster, `postgres` no backups, and so on.
ARROWS = {
    "alerts": {"alerts"},
    "postgres": {"postgres"},
    "backups": {"alerts", "postgres", "backups"},
    "recovery": {"alerts", "postgres", "backups", "recovery"},
    "watch": {"alerts", "postgres", "backups", "recovery", "watch"},
    "sandbox": {"postgres", "sandbox"},
    # launching a job in this process needs what Dagster loads; the test of circles watches this
    "defs": {"alerts", "postgres", "backups", "recovery", "watch", "defs", "definitions"},
}
#: Below every room: these know no room at all.
GROUND = {
    *("errors", "settings", "progress", "process", "tether", "files", "moments", "ports"),
    "stopwatch",
    "hotel",
    "finding",
    "private_file",
    "redact",
}
#: Above every room: what a person starts.
ROOF = {
    "cli",
    "cli_drill",
    "cli_incidents",
    "cli_options",
    "cli_recover",
    "cli_watch",
    "demo",
    "doctor",
    "doctor_alerts",
    "doctor_recovery",
    "doctor_settings",
    "up",
    "definitions",
    "terminal",
}
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: _name(path))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> Iterator[str]:
    """Full names of everything that a module imports, wherever in it and however late."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _rooms_imported(path: Path) -> set[str]:
    parts = (name.split(".") for name in _imported(path))
    return {part[1] for part in parts if part[0] == "kajovo_dr" and len(part) > 1}


def _top_level(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imported(path)}


def test_the_walk_sees_imports_of_every_form(tmp_path: Path) -> None:
    module = tmp_path / "x.py"
    module.write_text(
        "import a.b\nfrom kajovo_dr import files\n"
        "def f():\n    from kajovo_dr.defs.jobs import ALL\n"
    )
    assert list(_imported(module)) == ["a.b", "kajovo_dr.files", "kajovo_dr.defs.jobs.ALL"]
    assert _rooms_imported(module) == {"files", "defs"}


def test_every_module_stands_on_a_known_floor() -> None:
    rooms = {_room(path) for path in MODULES} - {"__init__"}
    assert rooms == ARROWS.keys() | GROUND | ROOF


@each_module
def test_only_the_rooms_of_dagster_import_it(path: Path) -> None:
    dagster = {name for name in _top_level(path) if name.startswith("dagster")}
    assert not dagster or _room(path) in {"defs", "definitions"}


def test_the_rooms_of_dagster_do_import_it() -> None:
    assert "dagster" in _top_level(PACKAGE / "definitions.py")  # else the test above is blind


@each_module
def test_child_processes_start_in_one_module(path: Path) -> None:
    assert "subprocess" not in _top_level(path) or _name(path) in ("process", "tether")


@each_module
def test_nobody_starts_processes_or_shells_behind_its_back(path: Path) -> None:
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    forbidden = {"os.system", "os.popen", "os.fork", "os.execv", "os.execvp", "os.posix_spawn"}
    assert not calls & forbidden
    assert "multiprocessing" not in _top_level(path)
    assert not [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "shell"
    ]


@each_module
def test_arrows_run_one_way(path: Path) -> None:
    room, known = _room(path), _rooms_imported(path)
    if room in ARROWS:
        assert known & (ARROWS.keys() | ROOF) <= ARROWS[room]
    elif room in GROUND:
        assert not known & (ARROWS.keys() | ROOF)


def test_only_those_who_need_the_sandbox_know_it() -> None:
    knowing = {_room(path) for path in MODULES if "sandbox" in _rooms_imported(path)}
    assert knowing <= {"sandbox", "cli", "cli_drill", "cli_recover", "demo", "doctor", "up"}


def test_modules_import_each_other_in_no_circle() -> None:
    names = {f"kajovo_dr.{_name(path)}".removesuffix(".__init__"): path for path in MODULES}
    arrows = {name: _modules_imported(path, set(names)) - {name} for name, path in names.items()}
    while free := [name for name, known in arrows.items() if not known]:
        for name in free:
            del arrows[name]
        for known in arrows.values():
            known.difference_update(free)
    assert arrows == {}


def _modules_imported(path: Path, names: set[str]) -> set[str]:
    found = set()
    for name in _imported(path):
        module = name if name in names else name.rpartition(".")[0]
        if module in names and module != "kajovo_dr":  # whose version everybody may ask for
            found.add(module)
    return found


@each_module
def test_every_module_opens_with_its_charter(path: Path) -> None:
    charter = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert charter
    assert charter.splitlines()[0].endswith((".", ":", ",")) or len(charter.splitlines()) > 1


def test_no_name_of_a_module_is_used_twice() -> None:
    names = Counter(path.name for path in MODULES if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


@each_module
def test_no_module_has_a_name_that_says_nothing(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "common", "base", "misc"}


def test_the_definitions_can_be_read_on_one_screen() -> None:
    assert len((PACKAGE / "definitions.py").read_text(encoding="utf-8").splitlines()) <= 60


@each_module
def test_nothing_prints_but_the_terminal(path: Path) -> None:
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert "print" not in calls
    assert "click.echo" not in calls or _name(path) == "terminal"


@each_module
def test_no_file_of_the_package_names_a_folder_of_somebodys_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [place for place in ("/home/", "/Users/", "/work/", "C:\\Users") if place in text]
