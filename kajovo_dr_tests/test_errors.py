"""Under test: that a script can rely on exit codes, and an operator on finding a next step.

README.md's table of exit codes is compared with the classes, so that neither can go stale.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import kajovo_dr
from kajovo_dr import errors
from kajovo_dr.errors import DrError

PACKAGE = Path(kajovo_dr.__file__).parent
README = PACKAGE.parent / "README.md"
#: 0 success, 1 a bug, 2 wrong usage, 130 Ctrl-C.
TAKEN = {0, 1, 2, 130}
TABLE_HEADER = "| exit code | error | meaning |"


def _descendants(cls: type[DrError]) -> list[type[DrError]]:
    return [each for sub in cls.__subclasses__() for each in (sub, *_descendants(sub))]


def _concrete() -> list[type[DrError]]:
    """The classes with a code of their own."""
    ours = [cls for cls in _descendants(DrError) if cls.__module__ == errors.__name__]
    return sorted((cls for cls in ours if "exit_code" in vars(cls)), key=lambda cls: cls.exit_code)


CONCRETE = _concrete()
each_error = pytest.mark.parametrize("cls", CONCRETE, ids=lambda cls: cls.__name__)


def _abstract_names() -> set[str]:
    everything = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, DrError)
    }
    return everything - {cls.__name__ for cls in CONCRETE}


def exit_code_table() -> str:
    """What README.md must say."""
    rows = [f"| {cls.exit_code} | {cls.__name__} | {cls.default_message()} |" for cls in CONCRETE]
    return "\n".join([TABLE_HEADER, "|---|---|---|", *rows])


def _table_in(text: str) -> dict[int, str]:
    """Exit code -> class name, of the rows below the header; of classes only (0, 1, 2, 130 are
    explained there as well, without a class).
    """
    lines = text.splitlines()
    assert lines.count(TABLE_HEADER) == 1, f"README.md needs one table with {TABLE_HEADER}"
    found: dict[int, str] = {}
    for line in lines[lines.index(TABLE_HEADER) + 2 :]:
        if not line.startswith("|"):
            break
        code, name, _ = (cell.strip().strip("`") for cell in line.strip("|").split("|", 2))
        if re.fullmatch(r"[A-Z]\w+", name):
            assert int(code) not in found, f"exit code {code} stands twice in README.md"
            found[int(code)] = name
    return found


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [cls.exit_code for cls in CONCRETE]
    assert len(CONCRETE) > 30
    assert sorted(set(codes)) == codes


@each_error
def test_no_error_uses_the_code_of_success_bug_usage_or_interruption(cls: type[DrError]) -> None:
    assert cls.exit_code not in TAKEN
    assert 0 < cls.exit_code < 126  # a shell gives 126 and more a meaning


@each_error
def test_the_default_message_is_lowercase_and_has_no_full_stop(cls: type[DrError]) -> None:
    message = str(cls())
    assert message == cls.default_message()
    assert message
    assert not message.endswith((".", "!"))
    assert message[0].islower()
    assert "\n" not in message


@each_error
def test_every_error_has_a_hint_or_says_why_its_class_has_none(cls: type[DrError]) -> None:
    if "hint" not in vars(cls):  # a hint of the parent would speak of something else
        assert "\nHint where it is raised: " in inspect.cleandoc(cls.__doc__ or "")
    else:
        assert cls.hint.endswith(".")
        assert cls.hint[0].islower()


def test_no_other_module_gives_a_class_an_exit_code() -> None:
    elsewhere = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for line in node.body
        if isinstance(line, ast.Assign | ast.AnnAssign) and "exit_code" in ast.unparse(line)
        if path.name != "errors.py"
    ]
    assert elsewhere == []


def _raised() -> list[tuple[str, ast.Call]]:
    """Every ``raise Name(...)`` and ``return Name(...)`` of the package."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            call = node.exc if isinstance(node, ast.Raise) else None
            call = node.value if isinstance(node, ast.Return) else call
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                found.append((f"{path.relative_to(PACKAGE)}:{call.lineno} {call.func.id}", call))
    assert len(found) > 100
    return found


def test_nobody_raises_an_abstract_error() -> None:
    abstract = _abstract_names()
    assert "StoreError" in abstract
    assert [where for where, call in _raised() if where.split()[-1] in abstract] == []


def test_an_error_without_a_hint_of_its_class_is_never_raised_without_one() -> None:
    bare = {cls.__name__ for cls in CONCRETE if "hint" not in vars(cls)}
    missing = [
        where
        for where, call in _raised()
        if where.split()[-1] in bare and "hint" not in {word.arg for word in call.keywords}
    ]
    assert missing == []


def test_an_abstract_error_that_is_raised_after_all_is_not_a_success() -> None:
    assert DrError.exit_code == 1
    assert errors.StoreError("x").exit_code == 1


def test_a_hint_given_when_raising_replaces_the_one_of_the_class() -> None:
    error = errors.DumpDamaged("x.sql is damaged", hint="throw it away.")
    assert error.described() == "x.sql is damaged\nhint: throw it away."
    assert errors.DumpDamaged().described().endswith(errors.DumpDamaged.hint)
    assert errors.MigrationFailed("cut off").described() == "cut off"


def test_the_readme_lists_exactly_the_errors_and_their_exit_codes() -> None:
    text = README.read_text(encoding="utf-8")
    assert _table_in(text) == {cls.exit_code: cls.__name__ for cls in CONCRETE}


def test_the_readme_says_what_each_exit_code_means_in_the_words_of_the_error() -> None:
    text = README.read_text(encoding="utf-8")
    missing = [row for row in exit_code_table().splitlines()[2:] if row not in text]
    assert missing == []


def test_a_table_that_misses_a_code_is_noticed() -> None:
    whole = _table_in("words\n\n" + exit_code_table() + "\n\nwords")
    assert whole == {cls.exit_code: cls.__name__ for cls in CONCRETE}
    cut = "\n".join(exit_code_table().splitlines()[:-1])
    assert _table_in(cut) != whole
