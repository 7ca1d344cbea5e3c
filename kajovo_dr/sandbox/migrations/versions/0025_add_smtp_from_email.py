"""Sender address of the hotel's mails.

Belongs here: one column. Not here: later changes; a published revision is never edited.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025_add_smtp_from_email"
down_revision = "0024_hotel_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; existing settings have no sender yet."""
    op.add_column("portal_smtp_settings", sa.Column("from_email", sa.String(255), nullable=True))


def downgrade() -> None:
    """Drop the column with what it holds."""
    op.drop_column("portal_smtp_settings", "from_email")
