"""The error tree: everything an operator can meet, with one exit code per class.

Belongs here: classes, default messages, exit codes. Not here: printing (``cli``) or the translation
into Dagster failures (``defs``). A `DrError` is meant for the operator; anything else is a bug.

    DrError
    ├── SettingError ─ UrlError, NotConfigured, NotConfirmed              10–13
    ├── ServerError ── Unreachable, WrongCredentials, ClientTooOld,
    │                  ClientMissing, TargetBusy, DatabaseMissing,
    │                  EmbeddedServerError, ServerLost                    20–28
    ├── StoreError ─── StoreMissing, StoreNotWritable, StoreFull,
    │                  BackupMissing, ManifestError, FormatUnknown,
    │                  FileRefused                                        30–36
    ├── BackupError ── DumpFailed, DumpDamaged, DatabaseEmpty,
    │                  SizeCollapsed, PastPartition, DumpTooSmall,
    │                  ProofFailed, ProofImpossible                      40–47
    ├── RestoreError ─ TargetNotEmpty, RestoreFailed, RestoredDiffers,
    │                  RolesMissing, NoBackupBefore, NotProven            50–55
    ├── RecoveryError ─ MigrationFailed, NotReady, LoginRefused,
    │                  SmokeFailed, LogUnwritable, PreflightFailed,
    │                  SwapFailed, ControlFailed, LegacyFailed,
    │                  UndoImpossible                                     60–69
    ├── ToolTimeout, CommandMissing, SandboxError, DrillFailed,
    │   LogBroken, RecoveryUnfinished, AlertFailed                        70–76
    └── DoctorFindings, NotProtected                                      80–81

Messages are lowercase, without a full stop, and say what, where and how much; the remedy is `hint`.
Exit codes 1 (a bug), 2 (wrong usage) and 130 (Ctrl-C) are not used by any class. A class without a
code of its own is abstract: nobody raises it.
"""

from __future__ import annotations


class DrError(Exception):
    """kajovo_dr failed."""

    exit_code: int = 1  # of an abstract class that was raised after all: a bug, never a success
    hint: str = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or self.default_message())
        self.hint = hint or type(self).hint

    @classmethod
    def default_message(cls) -> str:
        """The class docstring's first line, lowercase and without its full stop."""
        line = (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")
        return line[:1].lower() + line[1:]

    def described(self) -> str:
        """Message and hint on two lines, as a terminal or a Dagster run shows them."""
        return f"{self}\nhint: {self.hint}" if self.hint else str(self)


class SettingError(DrError):
    """A setting is unknown or has an impossible value."""

    exit_code = 10
    hint = "unset it for its default; kajovo-dr doctor --settings explains every setting."


class UrlError(SettingError):
    """A database URL cannot be read."""

    exit_code = 11
    hint = (
        "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE and percent-encode in the password: "
        "/ as %2F, @ as %40, : as %3A, % as %25, # as %23, space as %20."
    )


class NotConfigured(SettingError):
    """A setting that this command needs is not set.

    Hint where it is raised: it depends on the setting.
    """

    exit_code = 12


class NotConfirmed(SettingError):
    """What was typed as confirmation is not the database's name; nothing was changed."""

    exit_code = 13
    hint = "type the name of the database that is to be replaced, exactly."


class ServerError(DrError):
    """The PostgreSQL server refused what it was asked."""

    exit_code = 28
    hint = "mend what the server reports, then run the same command again."


class Unreachable(ServerError):
    """The PostgreSQL server does not answer."""

    exit_code = 20
    hint = "check that the server runs and that host and port in the URL are right."


class WrongCredentials(ServerError):
    """The PostgreSQL server refused the user or the password."""

    exit_code = 21
    hint = "check user and password in the URL; special characters must be percent-encoded."


class ClientTooOld(ServerError):
    """The client tools are older than the server."""

    exit_code = 22
    hint = "point KAJOVO_DR_PG_BIN at a folder with client tools at least as new as the server."


class ClientMissing(ServerError):
    """A PostgreSQL client tool was not found."""

    exit_code = 23
    hint = "install the PostgreSQL client tools, or point KAJOVO_DR_PG_BIN at their folder."


class TargetBusy(ServerError):
    """Another backup or recovery of this database is running."""

    exit_code = 24
    hint = "wait for it to end; its session is the one named kajovo_dr in pg_stat_activity."


class DatabaseMissing(ServerError):
    """The database does not exist on the server."""

    exit_code = 25
    hint = "check the database name in the URL; if it is lost: kajovo-dr recover --plan."


class EmbeddedServerError(ServerError):
    """The embedded PostgreSQL server does not run."""

    exit_code = 26
    hint = "read server.log in the folder that is named, mend what it says, and try again."


class ServerLost(ServerError):
    """The connection to the PostgreSQL server broke."""

    exit_code = 27
    hint = "look at the server's log, start it, and run the same command again."


class StoreError(DrError):
    """The backup store refused."""


class StoreMissing(StoreError):
    """The backup folder does not exist."""

    exit_code = 30
    hint = "mount or create the folder, or point KAJOVO_DR_BACKUP_DIR at the right one."


class StoreNotWritable(StoreError):
    """The backup folder cannot be written."""

    exit_code = 31
    hint = "give the user that runs kajovo_dr the right to write there."


class StoreFull(StoreError):
    """The backup folder's disk is full."""

    exit_code = 32
    hint = "free space on the disk of KAJOVO_DR_BACKUP_DIR; published backups are untouched."


class BackupMissing(StoreError):
    """There is no such backup in the store."""

    exit_code = 33
    hint = "kajovo-dr list shows what the store holds."


class ManifestError(StoreError):
    """A backup's manifest or sidecar cannot be trusted."""

    exit_code = 34
    hint = "choose another backup: kajovo-dr list."


class FormatUnknown(StoreError):
    """The manifest was written by a newer kajovo_dr."""

    exit_code = 35
    hint = "upgrade kajovo_dr to at least the version that wrote this backup."


class FileRefused(StoreError):
    """A file or folder cannot be used."""

    exit_code = 36
    hint = "check that it exists and that this user may read and write it."


class BackupError(DrError):
    """The backup failed; nothing was published."""


class DumpFailed(BackupError):
    """pg_dump failed; nothing was published."""

    exit_code = 40
    hint = "mend what the tool reports and run the backup again; earlier backups are untouched."


class DumpDamaged(BackupError):
    """The dump file is damaged."""

    exit_code = 41
    hint = "do not restore it; choose another backup: kajovo-dr list."


class DatabaseEmpty(BackupError):
    """The database has fewer tables than a real one."""

    exit_code = 42
    hint = (
        "check that the URL names the right database and that its volume is mounted; "
        "KAJOVO_DR_MIN_TABLES=0 allows an empty one."
    )


class SizeCollapsed(BackupError):
    """The dump is far smaller than the previous ones."""

    exit_code = 43
    hint = "find out what was deleted; if it was meant, run kajovo-dr backup --accept-shrink."


class PastPartition(BackupError):
    """A past day cannot be backed up."""

    exit_code = 44
    hint = "materialize today's partition; past days stay missing, which is the truth."


class DumpTooSmall(BackupError):
    """The dump is smaller than the configured floor."""

    exit_code = 45
    hint = "check the database; the floor is KAJOVO_DR_MIN_DUMP_BYTES."


class ProofFailed(BackupError):
    """The backup was restored and is not what its manifest promises."""

    exit_code = 46
    hint = (
        "do not use it; choose another one: kajovo-dr list. Then take a new one and look for why."
    )


class ProofImpossible(BackupError):
    """The proof could not be made, which says nothing about the backup.

    Hint where it is raised: it depends on what the scratch server lacks.
    """

    exit_code = 47


class RestoreError(DrError):
    """The restore failed."""


class TargetNotEmpty(RestoreError):
    """The target database exists and is not empty; nothing was changed."""

    exit_code = 50
    hint = "choose a new name with --into; an existing database is never overwritten."


class RestoreFailed(RestoreError):
    """The restore failed; the target was left as it was."""

    exit_code = 51
    hint = "mend what the server reports, or choose another backup: kajovo-dr list."


class RestoredDiffers(RestoreError):
    """The restored database is not what the manifest promises."""

    exit_code = 52
    hint = "do not use this backup; choose another one: kajovo-dr list."


class RolesMissing(RestoreError):
    """Roles that own parts of the backup do not exist on the target server.

    Hint where it is raised: it names the file that creates them.
    """

    exit_code = 53


class NoBackupBefore(RestoreError):
    """No valid backup lies before the incident."""

    exit_code = 54
    hint = "kajovo-dr list shows what the store holds; name a backup to use it anyway."


class NotProven(RestoreError):
    """The backup is not proven: nobody has restored it yet.

    Hint where it is raised: it names the backup.
    """

    exit_code = 55


class RecoveryError(DrError):
    """A step after the restore failed."""


class MigrationFailed(RecoveryError):
    """The migration failed.

    Hint where it is raised: it depends on how far the migration came.
    """

    exit_code = 60


class NotReady(RecoveryError):
    """The application is not ready."""

    exit_code = 61
    hint = "start the application, look at its log, then go on with what asked it."


class LoginRefused(RecoveryError):
    """The application refused the login; it was tried once: three failures lock the account."""

    exit_code = 62
    hint = "set KAJOVO_DR_APP_EMAIL and KAJOVO_DR_APP_PASSWORD right before the next attempt."


class SmokeFailed(RecoveryError):
    """The smoke test failed."""

    exit_code = 63
    hint = "the report names each failed endpoint; look at the application's log for that request."


class LogUnwritable(RecoveryError):
    """The incident log cannot be written."""

    exit_code = 64
    hint = "give the user that runs kajovo_dr the right to write in the state folder."


class PreflightFailed(RecoveryError):
    """The recovery cannot begin; nothing was changed."""

    exit_code = 65
    hint = "mend each finding; kajovo-dr recover --plan looks again and touches nothing."


class SwapFailed(RecoveryError):
    """The restored database could not take the live one's place; the live one is as it was."""

    exit_code = 66
    hint = "mend what the server reports, then: kajovo-dr recover --resume."


class ControlFailed(RecoveryError):
    """The application could not be stopped or started.

    Hint where it is raised: it depends on which of both.
    """

    exit_code = 67


class LegacyFailed(RecoveryError):
    """The migration of legacy data failed, or its report does not add up.

    Hint where it is raised: it depends on what is wrong with the report.
    """

    exit_code = 68


class UndoImpossible(RecoveryError):
    """The recovery cannot be undone.

    Hint where it is raised: it depends on what is missing.
    """

    exit_code = 69


class ToolTimeout(DrError):
    """A tool did not end in time and was stopped."""

    exit_code = 70
    hint = (
        "look for locks and load on the server; the limits are the KAJOVO_DR_*_TIMEOUT_S settings."
    )


class CommandMissing(DrError):
    """A configured command cannot be started."""

    exit_code = 71
    hint = "install it, or mend the setting that names it: kajovo-dr doctor --settings."


class SandboxError(DrError):
    """The sandbox hotel does not run.

    Hint where it is raised: it names the log, or what to change.
    """

    exit_code = 72


class DrillFailed(DrError):
    """The drill failed: as things are, a recovery would not succeed in time."""

    exit_code = 73
    hint = "the report names the phase; mend it, and run kajovo-dr drill again."


class LogBroken(DrError):
    """The incident log's chain is broken: an entry was changed, removed or moved."""

    exit_code = 74
    hint = "compare the file with a copy of it; entries before the break are as they were written."


class RecoveryUnfinished(DrError):
    """Another recovery of this database has begun and not ended; nothing was changed."""

    exit_code = 75
    hint = "go on with it: kajovo-dr recover --resume; or give it up: kajovo-dr recover --abandon."


class AlertFailed(DrError):
    """An alert did not arrive everywhere."""

    exit_code = 76
    hint = "mend what is said of that channel, and try again: kajovo-dr alert --test."


class DoctorFindings(DrError):
    """The doctor found something that must be mended."""

    exit_code = 80
    hint = "each finding above names its own next step."


class NotProtected(DrError):
    """As things are, a recovery would fail or lose more than was promised."""

    exit_code = 81
    hint = "each line above names its own next step."
