"""What every asset and job is given: the settings, and our errors as Dagster failures.

Belongs here: the one place where a `DrError` becomes a `dg.Failure`, and where progress becomes log
lines. Not here: assets.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

import dagster as dg

from kajovo_dr.defs import run_lock
from kajovo_dr.errors import DrError, FileRefused
from kajovo_dr.postgres.server import Server, forget_libpq_variables, restore_target, source
from kajovo_dr.progress import LineProgress, Progress
from kajovo_dr.settings import Settings

#: Seconds between two progress lines of a run: its log is read as a whole.
_PROGRESS_S = 5.0


class Environment(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings and servers, read from the environment when a run needs them, never from run config:
    run config is stored and shown in clear.

    While it is there, the process is known to work at the run (``run_lock``).
    """

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """For a step, or for the whole run where its steps are in one process; a sensor has none.

        Settings or a state folder that are wrong are for the step to tell: it does so with a hint.
        """
        with ExitStack() as lock:
            if context.run is not None:
                with suppress(DrError):
                    lock.enter_context(run_lock.held(self.settings().state, context.run.run_id))
            yield self

    def settings(self) -> Settings:
        """The settings in force."""
        return Settings.load()

    def source(self) -> Server:
        """The database that is protected."""
        return source(self.settings())

    def target(self, database: str) -> Server:
        """A database on the server that restores go to."""
        return restore_target(self.settings(), database)

    def progress(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Progress:
        """Progress as lines of the run's log."""
        return LineProgress(context.log.info, interval=_PROGRESS_S)


@contextmanager
def operator_errors() -> Iterator[None]:
    """Show the operator message and hint instead of a traceback. Nothing is retried by itself: what
    failed at night is to be understood before it is repeated.
    """
    forget_libpq_variables()
    try:
        yield
    except OSError as failure:
        refused = FileRefused(f"{failure.filename or 'a file'}: {str(failure.strerror).lower()}")
        raise _failure(refused) from None
    except DrError as error:
        raise _failure(error) from None


def _failure(error: DrError) -> dg.Failure:
    metadata: dict[str, dg.MetadataValue] = {"exit_code": dg.IntMetadataValue(error.exit_code)}
    if error.hint:
        metadata["hint"] = dg.TextMetadataValue(error.hint)
    return dg.Failure(error.described(), metadata=metadata, allow_retries=False)
