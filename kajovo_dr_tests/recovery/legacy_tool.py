"""A migrate_legacy of another application, honest until a test changes its code.

It moves the books of an old library into a new one, with the documented command line, report and
table of records.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from kajovo_dr.hotel import LegacyDomain
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

#: The old library, and the new one as it is restored.
OLD = """
    CREATE TABLE knihy (id int PRIMARY KEY, název text);
    INSERT INTO knihy SELECT i, 'Svazek č. ' || i FROM generate_series(1, 6) AS i;
"""
NEW = """
    CREATE TABLE books (id serial PRIMARY KEY, title text NOT NULL);
    INSERT INTO books (title) VALUES ('Kytice');
"""
BOOKS = 6
DOMAIN = LegacyDomain(name="knihy", count_sql="SELECT count(*) FROM knihy")

_CODE = """
import json, os, sys
from datetime import datetime, timezone
from pathlib import Path
import psycopg

began = datetime.now(timezone.utc).isoformat()
dry_run = "--dry-run" in sys.argv
path = Path(sys.argv[sys.argv.index("--report-json") + 1])
old, new = (psycopg.connect(os.environ[name].replace("+psycopg", "")) for name in ("OLD", "NEW"))
# FIRST
new.execute("CREATE TABLE IF NOT EXISTS legacy_migration_audit (domain text, legacy_table text,"
    " legacy_pk text, target_table text, target_pk text, mapping_note text)")
done = {key for (key,) in new.execute("SELECT legacy_pk FROM legacy_migration_audit")}
# DONE
totals = dict(scanned=0, imported=0, skipped=0, errors=0)
for key, title in old.execute("SELECT id, název FROM knihy ORDER BY id").fetchall():
    totals["scanned"] += 1
    if str(key) in done:
        totals["skipped"] += 1
        continue
    insert = "INSERT INTO books (title) VALUES (%s) RETURNING id"
    [(target,)] = new.execute(insert, [title]).fetchall()
    note = "bez autora" if key > 2 else "patří panu Novákovi" if key > 1 else None
    record = ("knihy", "knihy", str(key), "books", str(target), note)
    new.execute("INSERT INTO legacy_migration_audit VALUES (%s, %s, %s, %s, %s, %s)", record)
    totals["imported"] += 1
# END
if dry_run:
    new.rollback()
new.commit()
report = dict(dry_run=dry_run, started_at=began, finished_at=began, totals=dict(totals),
    domains=dict(knihy=totals), errors=[])
# REPORT
path.write_text(json.dumps(report), encoding="utf-8")
# LAST
"""


@dataclass
class Tool:
    """The two libraries and the tool between them."""

    old: Server
    new: Server
    folder: Path
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings.load(
            legacy_url=self.old.url(),
            legacy_command=(sys.executable, "migrate.py"),
            legacy_dir=self.folder,
            legacy_env={"OLD": "{legacy_url}", "NEW": "{sqlalchemy_url}"},
            legacy_domains=(DOMAIN,),
        )
        self.does()

    def does(self, **code: str) -> None:
        """Change what the tool does at these points of its code."""
        text = _CODE
        for point, lines in code.items():
            text = text.replace(f"# {point.upper()}\n", lines + "\n")
        (self.folder / "migrate.py").write_text(text, encoding="utf-8")
