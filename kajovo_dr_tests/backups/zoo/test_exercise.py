"""Under test: the exercise as a whole: it can fail, writes nothing real, and leaves nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from kajovo_dr.backups import catalog, compare, inspect
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import Kind
from kajovo_dr.backups.proof import Verdict
from kajovo_dr.backups.prove import judge
from kajovo_dr.backups.zoo import archive, bits, sidecars, text
from kajovo_dr.backups.zoo import exercise as zoo
from kajovo_dr.backups.zoo.bench import Bench
from kajovo_dr.backups.zoo.exercise import Exercise, Outcome, outcome_of, run_zoo, specimen
from kajovo_dr.backups.zoo.ladder import Caught
from kajovo_dr.backups.zoo.mutants import Mutant
from kajovo_dr.backups.zoo.registry import MUTANTS
from kajovo_dr.cli import cli
from kajovo_dr.errors import (
    BackupMissing,
    DrError,
    DumpDamaged,
    FormatUnknown,
    ManifestError,
    ProofFailed,
)
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import silent
from kajovo_dr.recovery.restore import restore
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.zoo.conftest import Enclosure

REFUSALS = (BackupMissing, ManifestError, FormatUnknown, DumpDamaged)
#: Rungs of a whole restore: what stands before them is refused before a byte reaches a server.
OF_A_RESTORE = {"restores", "rows_equal", "content_equal", "schema_equal", "sequences_equal"}
OF_FILES = [
    mutant
    for family in (sidecars, bits, text, archive)
    for mutant in family.FAMILY.mutants
    if mutant.rung not in OF_A_RESTORE
]


def named(*names: str) -> list[Mutant]:
    return [mutant for mutant in MUTANTS if mutant.name in names]


def names_of_databases(server: Server) -> set[str]:
    with databases.connect(server) as session:
        return {name for (name,) in session.execute("SELECT datname FROM pg_database")}


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def test_there_are_enough_mutants_and_their_names_are_used_once() -> None:
    pairs = [(mutant.name, kind) for mutant in MUTANTS for kind in mutant.kinds]
    assert len(pairs) == len(set(pairs)) >= 40


@pytest.mark.parametrize("kind", ["plain", "custom"])
def test_a_restore_refuses_every_damaged_file_before_it_makes_a_database(
    enclosures: dict[Kind, Enclosure], server: Server, kind: Kind
) -> None:
    home = enclosures[kind]
    refused = [each for each in OF_FILES if kind in each.kinds]
    assert len(refused) > 25
    for mutant in refused:
        with specimen(home.bench, home.backup) as animal:
            mutant.damage(animal)
            before = names_of_databases(server)
            with pytest.raises(DrError) as caught:
                restore(
                    home.settings,
                    catalog.by_name(animal.store, home.backup.name),
                    server.database("never"),
                    named=True,
                )
        assert isinstance(caught.value, REFUSALS), mutant.name
        assert names_of_databases(server) == before, mutant.name


def test_the_exercise_leaves_the_store_the_server_and_the_state_as_they_were(
    enclosures: dict[Kind, Enclosure], server: Server
) -> None:
    home = enclosures["plain"]
    files, before = digests(home.backup.path.parent), names_of_databases(server)
    some = named("bit-flipped-in-data", "row-deleted", "role-missing", "link-out-of-the-store")
    outcomes = run_zoo(home.settings, home.backup, server, mutants=some)
    assert {outcome.result for outcome in outcomes} == {"caught"}
    assert digests(home.backup.path.parent) == files
    assert names_of_databases(server) == before
    assert not list(home.settings.state.glob("zoo-*"))


def test_the_undamaged_backup_climbs_the_whole_ladder(
    enclosures: dict[Kind, Enclosure], server: Server
) -> None:
    for home in enclosures.values():
        assert judge(home.settings, home.backup, server).state == "proven"


def blind_to_content(*_: object) -> Verdict:
    return Verdict(name="content_equal", passed=True)


def test_a_blind_comparison_of_contents_lets_a_mutant_escape(
    enclosures: dict[Kind, Enclosure], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = enclosures["custom"]
    (mutant,) = named("value-changed")
    monkeypatch.setattr(compare, "_content", blind_to_content)
    outcome = outcome_of(home.bench, home.backup, mutant)
    assert outcome.result == "NOT CAUGHT"
    with pytest.raises(ProofFailed, match=r"0 of 1 caught: value-changed \(not caught\)"):
        Exercise(home.backup.name, (outcome,)).require_all()


def test_a_blind_rung_is_noticed_when_a_dearer_one_catches_the_mutant(
    enclosures: dict[Kind, Enclosure], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = enclosures["plain"]
    (mutant,) = named("copy-emptied")
    monkeypatch.setattr(inspect, "_rows_differ", lambda *_: ())
    outcome = outcome_of(home.bench, home.backup, mutant)
    assert (outcome.result, outcome.caught and outcome.caught.rung) == ("WRONG RUNG", "restores")


def test_a_backup_that_is_rejected_undamaged_ends_the_exercise(
    enclosures: dict[Kind, Enclosure], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = enclosures["plain"]
    monkeypatch.setattr(zoo, "caught_by", lambda *_: Caught("rows", "všechny"))
    with pytest.raises(ProofFailed, match="the undamaged backup is rejected: rows: všechny"):
        run_zoo(home.settings, home.backup, server)


def test_a_mutant_that_cannot_exist_is_neither_caught_nor_missed() -> None:
    caught = Outcome("a", "plain", "rows", Caught("rows", "t"))
    vain = Outcome("b", "plain", "schema_equal", lacks="no foreign key")
    assert Exercise("x", (caught, vain)).summary == "1 of 1 caught, 1 not applicable"
    Exercise("x", (caught, vain)).require_all()
    with pytest.raises(ProofFailed, match="there was nothing to catch"):
        Exercise("x", (vain,)).require_all()


def test_a_database_without_a_foreign_key_has_no_such_mutant(
    enclosures: dict[Kind, Enclosure],
) -> None:
    home = enclosures["plain"]
    with home.bench.clone() as clone:
        with databases.connect(clone) as session:
            session.execute("ALTER TABLE závady DROP CONSTRAINT závady_pokoj_fkey")
        bench = Bench(home.settings, home.bench.transport, home.bench.scratch, clone)
        (mutant,) = named("foreign-key-dropped")
        outcome = outcome_of(bench, home.backup, mutant)
    assert (outcome.result, outcome.lacks) == ("not applicable", "no foreign key")


def test_a_database_without_extensions_has_a_mutant_that_needs_one(
    settings: Settings, backup: Backup, server: Server
) -> None:
    (outcome,) = run_zoo(settings, backup, server, mutants=named("extension-missing"))
    assert outcome.result == "caught"
    assert outcome.caught is not None
    assert "kajovo_dr_unknown" in outcome.caught.place


def test_without_a_proven_backup_the_exercise_says_what_to_do(
    enclosures: dict[Kind, Enclosure],
) -> None:
    with pytest.raises(BackupMissing, match="no proven backup") as refused:
        zoo.exercise(enclosures["plain"].settings)
    assert "verify NAME --restore" in refused.value.hint


def test_the_drill_prints_every_mutant_and_fails_when_one_escapes(
    enclosures: dict[Kind, Enclosure], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = enclosures["plain"]
    url = home.settings.database_url
    assert isinstance(url, SecretStr)
    monkeypatch.setenv("KAJOVO_DR_STATE", str(home.settings.state))
    monkeypatch.setenv("KAJOVO_DR_DATABASE_URL", url.get_secret_value())
    some = named("row-repeated", "value-changed")
    monkeypatch.setattr(zoo.run_zoo, "__defaults__", (silent, some))
    said = CliRunner().invoke(cli, ["drill", "--mutants", home.backup.name])
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[0].split() == [
        *("MUTANT", "FORMAT", "CAUGHT", "BY", "PLACE", "RESULT")
    ]
    assert said.stdout.splitlines()[-1] == "2 of 2 caught"
    monkeypatch.setattr(compare, "_content", blind_to_content)
    said = CliRunner().invoke(cli, ["drill", "--mutants", "--json", home.backup.name])
    assert said.exit_code == ProofFailed.exit_code
    document = json.loads(said.stdout)
    results = {each["mutant"]: each["result"] for each in document["mutants"]}
    assert results == {"row-repeated": "caught", "value-changed": "NOT CAUGHT"}
