"""The hotel API's database sessions: one per request, a few kept open.

Belongs here: opening, keeping, dropping. Not here: queries. There is no check before use, as in the
real application: after the database went away, the first request fails and the next one succeeds.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from kajovo_dr.postgres.server import Server

Row = dict[str, Any]
Session = psycopg.Connection[Row]
_KEEP = 5


class Pool:
    """Thread-safe: `deque` hands each idle session to one thread only."""

    def __init__(self, server: Server) -> None:
        self._params = {**server.params, "application_name": "kajovo_hotel_api"}
        self._idle: deque[Session] = deque()
        self._busy: set[Session] = set()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, undone by an exception."""
        session = self._take()
        self._busy.add(session)
        try:
            yield session
            session.commit()
        except BaseException:
            # Whatever broke this one may have broken the others; closing also rolls back.
            session.close()
            self.close()
            raise
        finally:
            self._busy.discard(session)
        if len(self._idle) < _KEEP:
            self._idle.append(session)
        else:
            session.close()

    def close(self) -> None:
        """Close every idle session."""
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:  # another thread took it
                return

    def end(self) -> None:
        """Close every session, also those in use: a query that waits for a lock, or for a server
        that hangs, would keep the process from ending.
        """
        for session in tuple(self._busy):
            # `close` belongs to the thread that waits; the end of the connection wakes it
            with contextlib.suppress(OSError, psycopg.Error):
                line = socket.socket(fileno=session.fileno())
                try:
                    line.shutdown(socket.SHUT_RDWR)
                finally:
                    line.detach()
        self.close()

    def _take(self) -> Session:
        try:
            return self._idle.pop()
        except IndexError:
            session = psycopg.connect(
                psycopg.conninfo.make_conninfo(**self._params), row_factory=dict_row
            )
            session.execute("SET TIME ZONE 'UTC'")
            session.commit()
            return session
