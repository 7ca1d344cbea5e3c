"""Shelves and books."""

import sqlalchemy as sa
from alembic import op

revision = "first_shelves"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "shelves",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        schema="library",
    )
    op.create_table(
        "books",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("shelf_id", sa.Integer, sa.ForeignKey("library.shelves.id"), nullable=False),
        schema="library",
    )
