"""The hotel's 23 tables, written out: the oldest revision that a backup may hold.

Belongs here: the DDL as it was then. Not here: later changes; a published revision is never edited.
"""

from __future__ import annotations

from alembic import op

revision = "0024_hotel_tables"
down_revision = None
branch_labels = None
depends_on = None

_STAMPS = (
    "created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()"
)
_PHOTO = """
    sort_order integer NOT NULL, file_path varchar(512) NOT NULL, thumb_path varchar(512) NOT NULL,
    mime_type varchar(80) NOT NULL, size_bytes integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()"""

#: Table -> columns after ``id serial PRIMARY KEY``; parents before children.
TABLES = {
    "admin_profile": f"""
        email varchar(255) NOT NULL UNIQUE, password_hash varchar(512) NOT NULL,
        display_name varchar(120) NOT NULL, password_changed_at timestamptz, {_STAMPS}""",
    "portal_users": f"""
        first_name varchar(120) NOT NULL, last_name varchar(120) NOT NULL,
        email varchar(255) NOT NULL UNIQUE, password_hash varchar(512) NOT NULL,
        phone varchar(16), note text, is_active boolean NOT NULL, {_STAMPS},
        last_login_at timestamptz""",
    "auth_sessions": f"""
        session_id varchar(128) NOT NULL UNIQUE, actor_type varchar(16) NOT NULL,
        principal varchar(255) NOT NULL,
        portal_user_id integer REFERENCES portal_users ON DELETE CASCADE,
        role varchar(32) NOT NULL, roles_json text NOT NULL, active_role varchar(32),
        expires_at timestamptz NOT NULL, revoked_at timestamptz, last_seen_at timestamptz,
        {_STAMPS}""",
    "auth_lockout_states": f"""
        actor_type varchar(16) NOT NULL, principal varchar(255) NOT NULL,
        failed_attempts integer NOT NULL, first_failed_at timestamptz, last_failed_at timestamptz,
        locked_until timestamptz, last_forgot_sent_at timestamptz, {_STAMPS}""",
    "auth_unlock_tokens": """
        actor_type varchar(16) NOT NULL, principal varchar(255) NOT NULL,
        purpose varchar(32) NOT NULL, token_hash varchar(128) NOT NULL UNIQUE,
        expires_at timestamptz NOT NULL, used_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now()""",
    "audit_trail": """
        request_id varchar(64) NOT NULL, actor varchar(255) NOT NULL,
        actor_id varchar(255) NOT NULL, actor_role varchar(64) NOT NULL,
        module varchar(64) NOT NULL, action varchar(16) NOT NULL, resource varchar(255) NOT NULL,
        status_code integer NOT NULL, detail text, created_at timestamptz NOT NULL DEFAULT now()""",
    "device_registrations": """
        device_id varchar(128) NOT NULL UNIQUE, display_name varchar(255) NOT NULL,
        status varchar(32) NOT NULL, secret_hash varchar(128) NOT NULL,
        registered_at timestamptz NOT NULL DEFAULT now(), last_seen_at timestamptz,
        updated_at timestamptz NOT NULL DEFAULT now()""",
    "device_challenges": """
        challenge_id varchar(64) NOT NULL UNIQUE, device_id varchar(128) NOT NULL,
        challenge varchar(128) NOT NULL, issued_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL, consumed_at timestamptz""",
    "device_access_tokens": """
        device_id varchar(128) NOT NULL, token_hash varchar(128) NOT NULL UNIQUE,
        issued_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL,
        last_used_at timestamptz, revoked_at timestamptz""",
    "portal_smtp_settings": """
        host varchar(255) NOT NULL, port integer NOT NULL, username varchar(255) NOT NULL,
        password_encrypted text NOT NULL, use_tls boolean NOT NULL, use_ssl boolean NOT NULL,
        last_tested_at timestamptz, last_test_connected boolean, last_test_send_attempted boolean,
        last_test_success boolean, last_test_recipient varchar(255), last_test_error text,
        updated_at timestamptz NOT NULL DEFAULT now()""",
    "breakfast_orders": f"""
        service_date date NOT NULL, room_number varchar(32) NOT NULL,
        guest_name varchar(255) NOT NULL, guest_count integer NOT NULL,
        status varchar(32) NOT NULL, note text, diet_no_gluten boolean NOT NULL,
        diet_no_milk boolean NOT NULL, diet_no_pork boolean NOT NULL, {_STAMPS}""",
    "issues": f"""
        title varchar(255) NOT NULL, description text, location varchar(255) NOT NULL,
        room_number varchar(32), priority varchar(16) NOT NULL, status varchar(32) NOT NULL,
        assignee varchar(255), in_progress_at timestamptz, resolved_at timestamptz,
        closed_at timestamptz, {_STAMPS}""",
    "issue_photos": f"issue_id integer NOT NULL REFERENCES issues ON DELETE CASCADE, {_PHOTO}",
    "lost_found_items": f"""
        item_type varchar(16) NOT NULL, description text NOT NULL, category varchar(64) NOT NULL,
        location varchar(255) NOT NULL, room_number varchar(32), event_at timestamptz NOT NULL,
        status varchar(32) NOT NULL, tags_json text NOT NULL, claimant_name varchar(255),
        claimant_contact varchar(255), handover_note text, claimed_at timestamptz,
        returned_at timestamptz, {_STAMPS}""",
    "lost_found_photos": f"""
        item_id integer NOT NULL REFERENCES lost_found_items ON DELETE CASCADE, {_PHOTO}""",
    "reports": f"""
        title varchar(255) NOT NULL, description text, status varchar(32) NOT NULL, {_STAMPS}""",
    "report_photos": f"report_id integer NOT NULL REFERENCES reports ON DELETE CASCADE, {_PHOTO}",
    "inventory_items": f"""
        name varchar(255) NOT NULL, unit varchar(32) NOT NULL, min_stock integer NOT NULL,
        current_stock integer NOT NULL, supplier varchar(255),
        amount_per_piece_base integer NOT NULL, pictogram_path varchar(512),
        pictogram_thumb_path varchar(512), {_STAMPS}""",
    "inventory_cards": f"""
        card_type varchar(16) NOT NULL, number varchar(32) NOT NULL UNIQUE,
        card_date date NOT NULL, supplier varchar(255), reference varchar(64), note text,
        {_STAMPS}""",
    "inventory_card_items": f"""
        card_id integer NOT NULL REFERENCES inventory_cards ON DELETE CASCADE,
        ingredient_id integer NOT NULL REFERENCES inventory_items ON DELETE CASCADE,
        quantity_base integer NOT NULL, quantity_pieces integer NOT NULL, note text, {_STAMPS}""",
    "inventory_movements": f"""
        item_id integer NOT NULL REFERENCES inventory_items ON DELETE CASCADE,
        card_id integer REFERENCES inventory_cards ON DELETE SET NULL,
        card_item_id integer REFERENCES inventory_card_items ON DELETE SET NULL,
        movement_type varchar(16) NOT NULL, document_number varchar(32),
        document_reference varchar(64), document_date date, quantity integer NOT NULL,
        quantity_pieces integer NOT NULL, note text, {_STAMPS}""",
    "inventory_audit_logs": f"""
        entity varchar(32) NOT NULL, resource_id integer NOT NULL, action varchar(32) NOT NULL,
        detail text NOT NULL, {_STAMPS}""",
}
ROLES = """
    CREATE TABLE portal_user_roles (
        user_id integer NOT NULL REFERENCES portal_users ON DELETE CASCADE,
        role varchar(32) NOT NULL,
        PRIMARY KEY (user_id, role)
    )"""

#: Table -> columns with an index of their own.
INDEXES = {
    "audit_trail": "request_id actor actor_id module action status_code created_at",
    "auth_lockout_states": "actor_type principal locked_until",
    "auth_sessions": "actor_type principal portal_user_id expires_at revoked_at",
    "auth_unlock_tokens": "actor_type principal purpose expires_at",
    "breakfast_orders": "service_date room_number guest_name status",
    "device_access_tokens": "device_id expires_at revoked_at",
    "device_challenges": "device_id expires_at",
    "device_registrations": "status last_seen_at",
    "inventory_audit_logs": "entity resource_id action created_at",
    "inventory_card_items": "card_id ingredient_id",
    "inventory_cards": "card_type card_date supplier",
    "inventory_items": "name",
    "inventory_movements": (
        "item_id card_id card_item_id movement_type document_number document_date created_at"
    ),
    "issue_photos": "issue_id",
    "issues": "location room_number priority status assignee created_at",
    "lost_found_items": "item_type category room_number event_at status claimant_name",
    "lost_found_photos": "item_id",
    "portal_user_roles": "role",
    "portal_users": "last_name is_active",
    "report_photos": "report_id",
    "reports": "title status created_at",
}


def upgrade() -> None:
    """Build everything from nothing."""
    for table, columns in TABLES.items():
        op.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, {columns})")
    op.execute(ROLES)
    for table, columns in INDEXES.items():
        for column in columns.split():
            op.execute(f"CREATE INDEX ix_{table}_{column} ON {table} ({column})")


def downgrade() -> None:
    """Drop everything, children first."""
    for table in ("portal_user_roles", *reversed(TABLES)):
        op.execute(f"DROP TABLE {table}")
