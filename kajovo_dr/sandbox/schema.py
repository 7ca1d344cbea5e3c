"""The hotel's tables as SQLAlchemy Core objects: what the database must look like at head.

Belongs here: tables, keys, indexes, and running the migrations in-process. Not here: the DDL of a
revision (``migrations/versions``; an older revision must stay what it was when this file changes).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

OLD_REVISION = "0024_hotel_tables"
HEAD_REVISION = "0025_add_smtp_from_email"
#: Where alembic.ini lies; Alembic's command line runs with this as its working directory.
FOLDER = Path(__file__).resolve().parent

# The names PostgreSQL itself gives to unnamed constraints, so that hand-written DDL agrees.
metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def upgrade(sqlalchemy_url: str, revision: str = HEAD_REVISION) -> None:
    """Bring a database to the revision, in this process; raises what Alembic and its driver do."""
    from alembic import command
    from alembic.config import Config

    config = Config(FOLDER / "alembic.ini")
    config.attributes["url"] = sqlalchemy_url  # not an option: ConfigParser would eat every %
    command.upgrade(config, revision)


def _column(name: str, kind: sa.types.TypeEngine[Any], *args: Any, **options: Any) -> Any:
    """A NOT NULL column; the few others say nullable=True."""
    return sa.Column(name, kind, *args, **({"nullable": False} | options))


def _text(name: str, length: int, **options: Any) -> Any:
    return _column(name, sa.String(length), **options)


def _number(name: str, **options: Any) -> Any:
    return _column(name, sa.Integer(), **options)


def _flag(name: str, **options: Any) -> Any:
    return _column(name, sa.Boolean(), **options)


def _moment(name: str, *, index: bool = False) -> Any:
    return _column(name, sa.DateTime(timezone=True), index=index)


def _maybe(name: str, *, index: bool = False) -> Any:
    """A moment that may not have come yet."""
    return _column(name, sa.DateTime(timezone=True), nullable=True, index=index)


def _now(name: str, *, index: bool = False) -> Any:
    kind = sa.DateTime(timezone=True)
    return _column(name, kind, server_default=sa.text("now()"), index=index)


def _note(name: str = "note") -> Any:
    return _column(name, sa.Text(), nullable=True)


def _parent(name: str, table: str, on_delete: str = "CASCADE", *, nullable: bool = False) -> Any:
    key = sa.ForeignKey(f"{table}.id", ondelete=on_delete)
    return _column(name, sa.Integer(), key, nullable=nullable, index=True)


def _table(name: str, *columns: Any) -> sa.Table:
    return sa.Table(name, metadata, sa.Column("id", sa.Integer(), primary_key=True), *columns)


def _photos(name: str, parent: str, table: str) -> sa.Table:
    return _table(
        name,
        _parent(parent, table),
        _number("sort_order"),
        _text("file_path", 512),
        _text("thumb_path", 512),
        _text("mime_type", 80),
        _number("size_bytes"),
        _now("created_at"),
    )


# --- people and sessions -------------------------------------------------------------------------

admin_profile = _table(
    "admin_profile",
    _text("email", 255, unique=True),
    _text("password_hash", 512),
    _text("display_name", 120),
    _maybe("password_changed_at"),
    _now("created_at"),
    _now("updated_at"),
)
portal_users = _table(
    "portal_users",
    _text("first_name", 120),
    _text("last_name", 120, index=True),
    _text("email", 255, unique=True),
    _text("password_hash", 512),
    _text("phone", 16, nullable=True),
    _note(),
    _flag("is_active", index=True),
    _now("created_at"),
    _now("updated_at"),
    _maybe("last_login_at"),
)
portal_user_roles = sa.Table(
    "portal_user_roles",
    metadata,
    _number("user_id", primary_key=True, autoincrement=False),
    _text("role", 32, primary_key=True, index=True),
    sa.ForeignKeyConstraint(["user_id"], ["portal_users.id"], ondelete="CASCADE"),
)
auth_sessions = _table(
    "auth_sessions",
    _text("session_id", 128, unique=True),
    _text("actor_type", 16, index=True),
    _text("principal", 255, index=True),
    _parent("portal_user_id", "portal_users", nullable=True),
    _text("role", 32),
    _column("roles_json", sa.Text()),
    _text("active_role", 32, nullable=True),
    _moment("expires_at", index=True),
    _maybe("revoked_at", index=True),
    _maybe("last_seen_at"),
    _now("created_at"),
    _now("updated_at"),
)
auth_lockout_states = _table(
    "auth_lockout_states",
    _text("actor_type", 16, index=True),
    _text("principal", 255, index=True),
    _number("failed_attempts"),
    _maybe("first_failed_at"),
    _maybe("last_failed_at"),
    _maybe("locked_until", index=True),
    _maybe("last_forgot_sent_at"),
    _now("created_at"),
    _now("updated_at"),
)
auth_unlock_tokens = _table(
    "auth_unlock_tokens",
    _text("actor_type", 16, index=True),
    _text("principal", 255, index=True),
    _text("purpose", 32, index=True),
    _text("token_hash", 128, unique=True),
    _moment("expires_at", index=True),
    _maybe("used_at"),
    _now("created_at"),
)
audit_trail = _table(
    "audit_trail",
    _text("request_id", 64, index=True),
    _text("actor", 255, index=True),
    _text("actor_id", 255, index=True),
    _text("actor_role", 64),
    _text("module", 64, index=True),
    _text("action", 16, index=True),
    _text("resource", 255),
    _number("status_code", index=True),
    _note("detail"),
    _now("created_at", index=True),
)

# --- devices and settings ------------------------------------------------------------------------

device_registrations = _table(
    "device_registrations",
    _text("device_id", 128, unique=True),
    _text("display_name", 255),
    _text("status", 32, index=True),
    _text("secret_hash", 128),
    _now("registered_at"),
    _maybe("last_seen_at", index=True),
    _now("updated_at"),
)
device_challenges = _table(
    "device_challenges",
    _text("challenge_id", 64, unique=True),
    _text("device_id", 128, index=True),
    _text("challenge", 128),
    _now("issued_at"),
    _moment("expires_at", index=True),
    _maybe("consumed_at"),
)
device_access_tokens = _table(
    "device_access_tokens",
    _text("device_id", 128, index=True),
    _text("token_hash", 128, unique=True),
    _now("issued_at"),
    _moment("expires_at", index=True),
    _maybe("last_used_at"),
    _maybe("revoked_at", index=True),
)
portal_smtp_settings = _table(
    "portal_smtp_settings",
    _text("from_email", 255, nullable=True),
    _text("host", 255),
    _number("port"),
    _text("username", 255),
    _column("password_encrypted", sa.Text()),
    _flag("use_tls"),
    _flag("use_ssl"),
    _maybe("last_tested_at"),
    _flag("last_test_connected", nullable=True),
    _flag("last_test_send_attempted", nullable=True),
    _flag("last_test_success", nullable=True),
    _text("last_test_recipient", 255, nullable=True),
    _note("last_test_error"),
    _now("updated_at"),
)

# --- the five modules ----------------------------------------------------------------------------

breakfast_orders = _table(
    "breakfast_orders",
    _column("service_date", sa.Date(), index=True),
    _text("room_number", 32, index=True),
    _text("guest_name", 255, index=True),
    _number("guest_count"),
    _text("status", 32, index=True),
    _note(),
    _flag("diet_no_gluten"),
    _flag("diet_no_milk"),
    _flag("diet_no_pork"),
    _now("created_at"),
    _now("updated_at"),
)
issues = _table(
    "issues",
    _text("title", 255),
    _note("description"),
    _text("location", 255, index=True),
    _text("room_number", 32, nullable=True, index=True),
    _text("priority", 16, index=True),
    _text("status", 32, index=True),
    _text("assignee", 255, nullable=True, index=True),
    _maybe("in_progress_at"),
    _maybe("resolved_at"),
    _maybe("closed_at"),
    _now("created_at", index=True),
    _now("updated_at"),
)
issue_photos = _photos("issue_photos", "issue_id", "issues")
lost_found_items = _table(
    "lost_found_items",
    _text("item_type", 16, index=True),
    _column("description", sa.Text()),
    _text("category", 64, index=True),
    _text("location", 255),
    _text("room_number", 32, nullable=True, index=True),
    _moment("event_at", index=True),
    _text("status", 32, index=True),
    _column("tags_json", sa.Text()),
    _text("claimant_name", 255, nullable=True, index=True),
    _text("claimant_contact", 255, nullable=True),
    _note("handover_note"),
    _maybe("claimed_at"),
    _maybe("returned_at"),
    _now("created_at"),
    _now("updated_at"),
)
lost_found_photos = _photos("lost_found_photos", "item_id", "lost_found_items")
reports = _table(
    "reports",
    _text("title", 255, index=True),
    _note("description"),
    _text("status", 32, index=True),
    _now("created_at", index=True),
    _now("updated_at"),
)
report_photos = _photos("report_photos", "report_id", "reports")
inventory_items = _table(
    "inventory_items",
    _text("name", 255, index=True),
    _text("unit", 32),
    _number("min_stock"),
    _number("current_stock"),
    _text("supplier", 255, nullable=True),
    _number("amount_per_piece_base"),
    _text("pictogram_path", 512, nullable=True),
    _text("pictogram_thumb_path", 512, nullable=True),
    _now("created_at"),
    _now("updated_at"),
)
inventory_cards = _table(
    "inventory_cards",
    _text("card_type", 16, index=True),
    _text("number", 32, unique=True),
    _column("card_date", sa.Date(), index=True),
    _text("supplier", 255, nullable=True, index=True),
    _text("reference", 64, nullable=True),
    _note(),
    _now("created_at"),
    _now("updated_at"),
)
inventory_card_items = _table(
    "inventory_card_items",
    _parent("card_id", "inventory_cards"),
    _parent("ingredient_id", "inventory_items"),
    _number("quantity_base"),
    _number("quantity_pieces"),
    _note(),
    _now("created_at"),
    _now("updated_at"),
)
inventory_movements = _table(
    "inventory_movements",
    _parent("item_id", "inventory_items"),
    _parent("card_id", "inventory_cards", "SET NULL", nullable=True),
    _parent("card_item_id", "inventory_card_items", "SET NULL", nullable=True),
    _text("movement_type", 16, index=True),
    _text("document_number", 32, nullable=True, index=True),
    _text("document_reference", 64, nullable=True),
    _column("document_date", sa.Date(), nullable=True, index=True),
    _number("quantity"),
    _number("quantity_pieces"),
    _note(),
    _now("created_at", index=True),
    _now("updated_at"),
)
inventory_audit_logs = _table(
    "inventory_audit_logs",
    _text("entity", 32, index=True),
    _number("resource_id", index=True),
    _text("action", 32, index=True),
    _column("detail", sa.Text()),
    _now("created_at", index=True),
    _now("updated_at"),
)
