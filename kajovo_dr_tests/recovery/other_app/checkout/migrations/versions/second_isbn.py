"""Books have an ISBN."""

import sqlalchemy as sa
from alembic import op

revision = "second_isbn"
down_revision = "first_shelves"


def upgrade() -> None:
    op.add_column("books", sa.Column("isbn", sa.String(17)), schema="library")
