"""Under test: the zoo catches a changed schema of a server older than the scratch server, too.

Production's server is older than ours as a rule, so definitions are compared between majors.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kajovo_dr.backups.take import take
from kajovo_dr.backups.zoo.exercise import run_zoo
from kajovo_dr.backups.zoo.structure import FAMILY
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.zoo.conftest import RICH_DATABASE
from kajovo_dr_tests.conftest import new_folder

OLD = next(
    (
        folder
        for major in (16, 15, 14)
        if (folder := Path(f"/usr/lib/postgresql/{major}/bin")).joinpath("initdb").exists()
    ),
    None,
)
pytestmark = pytest.mark.skipif(
    OLD is None, reason="no PostgreSQL 14 to 16 of the distribution is installed here"
)


@pytest.fixture
def old_source() -> Iterator[Server]:
    """The zoo's database on an older server."""
    folder = new_folder()
    with EmbeddedServer(folder / "state" / "embedded" / "old", "kajovo", bin_setting=OLD) as server:
        with databases.connect(server) as admin:
            databases.create(admin, "zoo starý", {})
        with databases.connect(server.database("zoo starý")) as session:
            session.execute(RICH_DATABASE)
        yield server.database("zoo starý")
    shutil.rmtree(folder, ignore_errors=True)


def test_every_mutant_of_the_schema_is_caught_between_two_major_versions(
    settings: Settings, old_source: Server, scratch: Server
) -> None:
    backup = take(settings, old_source, reason="test").backup
    outcomes = run_zoo(settings, backup, scratch, mutants=FAMILY.mutants)
    assert {each.mutant: each.result for each in outcomes} == {
        each.name: "caught" for each in FAMILY.mutants
    }
