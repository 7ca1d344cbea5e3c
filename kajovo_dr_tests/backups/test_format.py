"""FORMAT.md describes what the code does: its tree, its digest and its manifest are read by it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import kajovo_dr.backups
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import (
    FORMAT,
    MANIFEST_SUFFIX,
    Manifest,
    read_bound,
    read_digest,
    read_manifest,
)
from kajovo_dr.backups.proof import PROOF_SUFFIX, VERDICTS, Proof, read_proof, state_of
from kajovo_dr.backups.store import Store, sidecar

TEXT = (Path(kajovo_dr.backups.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    """The content of a fenced block."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return found[number]


def test_the_manifest_in_the_page_is_read_by_the_code(tmp_path: Path) -> None:
    path = tmp_path / "example.json"
    path.write_text(block("json"), encoding="utf-8")
    manifest = read_manifest(path)
    assert manifest.counts == {("public", "issues"): 60, ("public", "reports"): 1}
    assert manifest.to_bytes().decode() == block("json")


def test_the_page_shows_every_field_and_this_format(backup: Backup) -> None:
    shown = json.loads(block("json"))
    assert list(shown) == list(Manifest.model_fields)
    assert shown["format"] == FORMAT
    assert f"# The backup store, format {FORMAT}" in TEXT
    written = json.loads(backup.path.with_name(f"{backup.name}.json").read_text(encoding="utf-8"))
    assert list(written) == list(shown)


def test_the_proof_record_in_the_page_is_that_of_its_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / json.loads(block("json"))["backup_file"]
    sidecar(manifest, MANIFEST_SUFFIX).write_text(block("json"), encoding="utf-8")
    sidecar(manifest, PROOF_SUFFIX).write_text(block("json", 1), encoding="utf-8")
    proof = read_proof(manifest)
    assert proof is not None
    assert list(json.loads(block("json", 1))) == list(Proof.model_fields)
    assert [verdict.name for verdict in proof.verdicts] == list(VERDICTS)
    assert state_of(*read_bound(sidecar(manifest, MANIFEST_SUFFIX)), proof) == ("proven", "")


def test_the_tree_in_the_page_is_a_store(tmp_path: Path) -> None:
    names = [line.split()[1] for line in block("text").splitlines()]
    for name in names:
        (tmp_path / name).touch()
    dumps = [path.name for path in Store(tmp_path, "kajovo-postgres").dump_files()]
    suffixes = ("", ".json", ".roles", ".sha256")
    proofs = [name for name in names if name.endswith(PROOF_SUFFIX)]
    others = sorted(set(names) - set(proofs))
    assert others == sorted(name + suffix for name in dumps for suffix in suffixes)
    assert {name.removesuffix(PROOF_SUFFIX) for name in proofs} < set(dumps)
    assert {Path(name).suffix for name in dumps} == {".sql", ".dump"}


def test_the_digest_in_the_page_is_that_of_its_manifest(tmp_path: Path) -> None:
    path = tmp_path / "example.sha256"
    path.write_text(block("text", 1), encoding="utf-8")
    shown = json.loads(block("json"))
    assert read_digest(path) == shown["sha256"]
    assert path.read_text(encoding="utf-8") == f"{shown['sha256']} *{shown['backup_file']}\n"
