"""Alembic's entry into the library's migrations, with the library's tables."""

import os
from logging.config import fileConfig
from pathlib import Path

import sqlalchemy as sa
from alembic import context

metadata = sa.MetaData(schema="library")
sa.Table(
    "shelves",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
)
sa.Table(
    "books",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("shelf_id", sa.Integer, sa.ForeignKey("library.shelves.id"), nullable=False),
    sa.Column("isbn", sa.String(17)),
)

fileConfig(Path(__file__).parent.with_name("alembic.ini"))
engine = sa.create_engine(os.environ["LIBRARY_DSN"])
with engine.begin() as connection:
    connection.execute(sa.text("CREATE SCHEMA IF NOT EXISTS library"))
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_schemas=True,
        version_table="changes",
        version_table_schema="library",
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
