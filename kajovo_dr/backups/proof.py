"""The proof record beside a backup, and the state of the backup that follows from it.

Belongs here: the record's fields, reading, writing, and the four states. Not here: how a backup is
proven (``prove``) and what differs (``compare``). The record is described in ``FORMAT.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from kajovo_dr.backups.manifest import Manifest
from kajovo_dr.backups.store import disk_errors, sidecar
from kajovo_dr.errors import FormatUnknown, ManifestError
from kajovo_dr.files import replace_atomically

PROOF_SUFFIX = ".proof.json"
#: Raised when an older reader would misunderstand a newer record.
FORMAT = 1
#: The judgements of a proof, in the order in which they are made.
VERDICTS = (
    "restores",
    "rows_equal",
    "content_equal",
    "schema_equal",
    "sequences_equal",
    "sql_smoke",
)
#: taken: published, never proven. proven: restored and found equal. damaged: it must not be used.
#: unproven: a proof was tried and could not be made, or is of other bytes.
State = Literal["taken", "proven", "damaged", "unproven"]


class Verdict(BaseModel):
    """One judgement. passed: None when it could not be judged; detail: what differs, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool | None
    detail: str = ""
    figures: dict[str, float] = Field(default_factory=dict)


class Proof(BaseModel):
    """What one attempt to prove a backup found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    backup_file: str
    sha256: str = Field(description="of the dump file that was restored")
    manifest_sha256: str = Field(description="of the manifest it was compared with")
    proven_at: AwareDatetime = Field(description="begin of the attempt")
    state: Literal["proven", "damaged", "unproven"]
    reason: str = Field("", description="why it is not proven; empty when it is")
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = Field((), description="what was judged less strictly, and why")
    seconds: dict[str, float] = Field(default_factory=dict, description="by phase")
    server_version: str = Field("", description="of the scratch server")
    client_version: str = ""
    host: str
    written_by: str

    def to_bytes(self) -> bytes:
        """UTF-8 JSON."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def write_proof(dump_file: Path, proof: Proof) -> Path:
    """Write the record beside its backup, in place of an earlier one."""
    path = sidecar(dump_file, PROOF_SUFFIX)
    with disk_errors(path.parent):
        replace_atomically(path, proof.to_bytes())
    return path


def read_proof(dump_file: Path) -> Proof | None:
    """The record of a backup; None without one. Raises `ManifestError` or `FormatUnknown`."""
    path = sidecar(dump_file, PROOF_SUFFIX)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise ManifestError(f"{path.name} cannot be read: {failure.strerror}") from None
    try:
        return Proof.model_validate_json(text)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        if first["loc"] == ("format",):
            raise FormatUnknown(f"{path.name} has a format that this version does not know") from (
                None
            )
        where = ".".join(map(str, first["loc"]))
        raise ManifestError(f"{path.name}: {where}: {first['msg'].lower()}") from None


def state_of(manifest: Manifest, manifest_sha256: str, proof: Proof | None) -> tuple[State, str]:
    """The state of a backup whose sidecars agree with each other, and why it is not proven.

    manifest_sha256: of the manifest's bytes. The reason is empty for what is taken or proven.
    """
    if proof is None:
        return "taken", ""
    bound = (manifest.backup_file, manifest.sha256, manifest_sha256)
    if (proof.backup_file, proof.sha256, proof.manifest_sha256) != bound:
        return "unproven", "its proof is of another dump file or manifest"
    return proof.state, proof.reason
