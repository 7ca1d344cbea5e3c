"""Alembic's entry: one connection to the database that KAJOVO_API_DATABASE_URL names.

Belongs here: the connection and how models are compared. Not here: tables (``sandbox.schema``).
"""

from __future__ import annotations

import os
from logging.config import fileConfig

from alembic import context
from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from kajovo_dr.sandbox.schema import metadata

VARIABLE = "KAJOVO_API_DATABASE_URL"


def _url() -> str:
    url = context.config.attributes.get("url") or os.environ.get(VARIABLE, "")
    if not url:
        raise CommandError(f"{VARIABLE} is not set; write postgresql+psycopg://USER@HOST/DATABASE")
    return str(url)


def run() -> None:
    """Run what was asked for, in one transaction."""
    if context.is_offline_mode():
        raise CommandError("--sql is not supported: the migrations need a database")
    url = _url()
    if "url" not in context.config.attributes and context.config.config_file_name:
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 10})
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
