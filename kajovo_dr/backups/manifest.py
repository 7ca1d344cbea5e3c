"""The manifest: what is known of a backup, in a file beside it; and the other sidecars' names.

Belongs here: the fields, their format number, reading and writing. Not here: the dump file
(``take``, ``inspect``) and where files lie (``store``). The format is described in ``FORMAT.md``.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from kajovo_dr.errors import FormatUnknown, ManifestError
from kajovo_dr.postgres.carry_over import Attributes
from kajovo_dr.postgres.fingerprint import Fingerprint, Table

#: Raised when an older reader would misunderstand a newer manifest.
FORMAT = 2
MANIFEST_SUFFIX = ".json"
DIGEST_SUFFIX = ".sha256"
ROLES_SUFFIX = ".roles"
_SAFETY = "before recovery "
#: In an adopted backup's manifest, for what nobody wrote down.
UNKNOWN = "unknown"
Kind = Literal["plain", "custom"]
#: Dump file suffix by kind.
SUFFIXES: dict[Kind, str] = {"plain": ".sql", "custom": ".dump"}


class Manifest(BaseModel):
    """One backup. The first nine fields after `format` are those of the scripts it replaces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1, 2] = 2
    created_at: AwareDatetime = Field(description="moment of the snapshot")
    compose_file: str | None = None
    env_file: str | None = None
    database: str
    user: str
    backup_file: str = Field(description="name of the dump file")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the dump file")
    size_bytes: int = Field(ge=0, description="of the dump file")
    host: str = Field(description="machine that took the backup")

    kind: Kind
    server: str = Field(description="host:port of the source, or unknown")
    identity: str = Field(
        "", description="key of the source's server and database; empty: it is not known"
    )
    server_version: str
    client_version: str
    database_bytes: int = Field(ge=0, description="size of the source on its disk")
    locale: dict[str, str] = Field(description="options of CREATE DATABASE")
    tables: tuple[Table, ...]
    fingerprint: Fingerprint | None = Field(
        None, description="what the source held besides its tables; null in format 1"
    )
    attributes: Attributes | None = Field(
        None, description="what no dump holds of the database itself: owner, privileges, settings"
    )
    roles: tuple[str, ...] = Field(description="roles that the dump file names")
    roles_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the file of roles")
    lines: int = Field(ge=0, description="newlines of the SQL text")
    seconds: float = Field(ge=0, description="duration of pg_dump")
    reason: str = Field(description="why it was taken")
    shrink_accepted: bool = False
    written_by: str

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """(schema, table) -> rows."""
        return {(table.schema_, table.name): table.rows for table in self.tables}

    @property
    def adopted(self) -> bool:
        """Whether it is of another tool's making: nobody knows what wrote it, and where."""
        return self.server == UNKNOWN

    @property
    def of_incident(self) -> bool:
        """Whether it holds what a recovery replaced: it is used by its name alone, and counts for
        no objective and no comparison. Proven or not, its data may be what was wrong.
        """
        return re.fullmatch(re.escape(_SAFETY) + "[0-9a-f]{8}", self.reason) is not None

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def sampled(self) -> tuple[str, ...]:
        """The tables of which only a sample of the rows was hashed."""
        return tuple(".".join(table.key) for table in self.tables if table.sampled)

    @property
    def server_major(self) -> int:
        """Major version of the source: 16 of ``16.4``, 18 of ``18beta1``."""
        digits = re.match(r"\d+", self.server_version)
        return int(digits[0]) if digits else 0

    def to_bytes(self) -> bytes:
        """UTF-8 JSON without a byte order mark, which the scripts' readers refuse."""
        document = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def safety_reason(recovery: str) -> str:
    """The reason of the backup that a recovery takes before it begins."""
    return f"{_SAFETY}{recovery}"


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; raises `ManifestError`, or `FormatUnknown` when a newer version wrote it."""
    return read_bound(path)[0]


def read_bound(path: Path) -> tuple[Manifest, str]:
    """A manifest and the sha256 of the very bytes it was read from: a proof holds for them alone.

    Raises as `read_manifest` does.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(f"{path.name} is missing") from None
    except OSError as failure:
        raise ManifestError(f"{path.name} cannot be read: {failure.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    return _known.get(digest) or _remember(digest, _parsed(path, content)), digest


#: Manifests by the sha256 of their bytes: who watches reads them several times in each look, all
#: day. No more than so many tables of them, which take some 40 MB.
_known: dict[str, Manifest] = {}
_MOST_TABLES = 40_000


def _remember(digest: str, manifest: Manifest) -> Manifest:
    if sum(len(each.tables) + 1 for each in list(_known.values())) > _MOST_TABLES:
        _known.clear()
    _known[digest] = manifest
    return manifest


def _parsed(path: Path, content: bytes) -> Manifest:
    document = _document(path, content)
    number = document.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise FormatUnknown(
            f"{path.name} has format {number}, this version reads up to {FORMAT}"
            f" (written by {document.get('written_by', 'unknown')})"
        )
    if number is None:
        raise ManifestError(
            f"{path.name} has no format number: it was not written by kajovo_dr",
            hint="backups of other tools are taken over by kajovo-dr adopt FOLDER.",
        )
    try:
        return Manifest.model_validate_json(json.dumps(document))
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ManifestError(f"{path.name}: {where}: {first['msg'].lower()}") from None


def read_digest(path: Path) -> str:
    """The hexadecimal sha256 of a sidecar: its first word."""
    try:
        words = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise ManifestError(f"{path.name} is missing") from None
    except (OSError, UnicodeDecodeError) as failure:
        raise ManifestError(f"{path.name} cannot be read: {failure}") from None
    return words[0] if words else ""


def digest_line(sha256: str, name: str) -> bytes:
    """What ``sha256sum --check`` reads; ``*`` says that the bytes count as they are."""
    return f"{sha256} *{name}\n".encode()


def stamp(moment: datetime) -> str:
    """The moment as it stands in names: in UTC, so that names sort by time on DST days too."""
    return moment.astimezone(UTC).strftime("%Y%m%d-%H%M%S")


def _document(path: Path, content: bytes) -> dict[str, object]:
    try:
        document = json.loads(content.decode("utf-8"))
    except ValueError as failure:  # not UTF-8 or not JSON
        raise ManifestError(f"{path.name} is not JSON: {failure}") from None
    if not isinstance(document, dict):
        raise ManifestError(f"{path.name} is not a JSON object")
    return document
