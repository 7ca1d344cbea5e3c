"""One rich database, its backup in both formats, and a bench for each: made once per session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import Kind
from kajovo_dr.backups.take import take
from kajovo_dr.backups.zoo.bench import Bench
from kajovo_dr.backups.zoo.exercise import open_bench
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.conftest import new_folder

KINDS: tuple[Kind, ...] = ("plain", "custom")
#: Something of everything that a mutant damages.
RICH_DATABASE = """
    CREATE EXTENSION pg_trgm;
    CREATE TYPE stav AS ENUM ('nový', 'hotový');
    CREATE TABLE pokoje (id serial PRIMARY KEY, název text NOT NULL, cena numeric(10, 2) CHECK
        (cena > 0), poznámka text);
    CREATE TABLE závady (id serial PRIMARY KEY, pokoj int NOT NULL REFERENCES pokoje,
        popis text NOT NULL, stav stav DEFAULT 'nový', kdo varchar(40), počet int);
    CREATE TABLE snídaně (kdy date, kolik int);
    CREATE TABLE snídaně_loni (kdy date, kolik int);
    CREATE TABLE tajné (čí text, obsah text);
    INSERT INTO pokoje (název, cena, poznámka)
        SELECT 'Pokoj ' || i, i * 10, 'výhled ' || i FROM generate_series(1, 60) i;
    INSERT INTO závady (pokoj, popis, kdo, počet) SELECT i, 'Příliš žluťoučký kůň úpěl '
        || md5(i::text), 'Řehoř', i FROM generate_series(1, 60) i;
    INSERT INTO snídaně SELECT '2026-01-01'::date + i, i FROM generate_series(1, 20) i;
    INSERT INTO snídaně_loni SELECT '2025-01-01'::date + i, i FROM generate_series(1, 20) i;
    INSERT INTO tajné SELECT 'recepce', 'Tajemství ' || i FROM generate_series(1, 20) i;
    CREATE INDEX závady_popis ON závady USING gin (popis gin_trgm_ops) WHERE false;
    CREATE INDEX pokoje_cena ON pokoje (cena);
    CREATE VIEW drahé AS SELECT id, cena FROM pokoje WHERE cena > 300;
    CREATE FUNCTION razítko() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER razítko BEFORE INSERT ON závady FOR EACH ROW EXECUTE FUNCTION razítko();
    ALTER TABLE tajné ENABLE ROW LEVEL SECURITY;
    CREATE POLICY jen_recepce ON tajné USING (current_user = 'recepce');
"""


@dataclass(frozen=True)
class Enclosure:
    """A backup of one format, its bench, and the settings of its store."""

    settings: Settings
    backup: Backup
    bench: Bench


@pytest.fixture(scope="session")
def enclosures(server: Server) -> Iterator[dict[Kind, Enclosure]]:
    """Both formats; their scratch server is the session's."""
    folder = new_folder()
    source = server.database("zoo hotel")
    with databases.connect(server) as admin, ExitStack() as opened:
        databases.create(admin, source.dbname, {})
        opened.callback(databases.drop, admin, source.dbname)
        opened.callback(shutil.rmtree, folder)
        with databases.connect(source) as session:
            session.execute(RICH_DATABASE)
        yield {kind: _enclosure(folder, source, kind, server, opened) for kind in KINDS}


def _enclosure(
    folder: Path, source: Server, kind: Kind, server: Server, opened: ExitStack
) -> Enclosure:
    settings = Settings.load(state=folder / kind, database_url=source.url(), backup_format=kind)
    backup = take(settings, source, reason="test").backup
    bench = opened.enter_context(open_bench(settings, backup, server))
    return Enclosure(settings, backup, bench)
