"""The seeded rows that are few and written one by one: staff, sessions, mail settings, pictures.

Belongs here: rows that need Python (password hashes, files). Not here: mass data (``seed_tables``).
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from psycopg.sql import SQL, Identifier, Placeholder

from kajovo_dr.postgres.databases import Connection
from kajovo_dr.sandbox import passwords, pictures
from kajovo_dr.sandbox.czech import STAFF
from kajovo_dr.sandbox.seed_tables import BASE_DATE

#: Password of every seeded portal user.
STAFF_PASSWORD = "Žluťoučký-kůň-2026"  # noqa: S105 - the sandbox's public password

_MORNING = f"{BASE_DATE} 05:00:00+00"
_NEXT_MONTH = "2026-12-15 05:00:00+00"
#: Table of photos -> its parent column and the folder below the media root.
PHOTOS = {
    "issue_photos": ("issue_id", "issues"),
    "report_photos": ("report_id", "reports"),
    "lost_found_photos": ("item_id", "lost-found"),
}
_PICTOGRAMS = 6


def staff(connection: Connection) -> None:
    """Portal users, their roles, and one session each; every second session is still open."""
    secret = passwords.hashed(STAFF_PASSWORD, salt=b"kajovo-sandbox-1")
    stamps = {"created_at": _MORNING, "updated_at": _MORNING}
    for number, (first, last, email, note, roles) in enumerate(STAFF, start=1):
        _insert(
            connection,
            "portal_users",
            id=number,
            first_name=first,
            last_name=last,
            email=email,
            password_hash=secret,
            phone=f"+420 60000{number:04}",
            note=note,
            is_active=not note.startswith("odešel"),
            **stamps,
        )
        for role in roles:
            _insert(connection, "portal_user_roles", user_id=number, role=role)
        _insert(
            connection,
            "auth_sessions",
            id=number,
            session_id=hashlib.sha256(f"relace {number}".encode()).hexdigest(),
            actor_type="portal",
            principal=email,
            portal_user_id=number,
            role=roles[0],
            roles_json=json.dumps(roles, ensure_ascii=False),
            active_role=roles[0],
            expires_at=_NEXT_MONTH,
            revoked_at=_MORNING if number % 2 else None,
            last_seen_at=_MORNING,
            **stamps,
        )


def mail(connection: Connection) -> None:
    """The mail settings; the sender exists at head only."""
    _insert(
        connection,
        "portal_smtp_settings",
        id=1,
        host="smtp.hotel.example",
        port=587,
        username="kájovo-hotel",
        password_encrypted=base64.b64encode("tajné-heslo-P".encode()).decode(),
        use_tls=True,
        use_ssl=False,
        last_test_recipient="bozena@hotel.example",
        last_test_error="Čas vypršel – zkuste později ✉️",
        updated_at=_MORNING,
    )
    at_head = connection.execute(
        "SELECT 1 FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name = 'portal_smtp_settings' AND column_name = 'from_email'"
    ).fetchone()
    if at_head:
        connection.execute("UPDATE portal_smtp_settings SET from_email = 'recepce@hotel.example'")


def photos(connection: Connection, table: str, count: int, media_root: Path | None) -> None:
    """Two photos for each of the first parents, with their files when there is a media root."""
    parent, folder = PHOTOS[table]
    for number in range(1, count + 1):
        owner, order = 1 + (number - 1) // 2, (number - 1) % 2
        original, thumb = pictures.paths(folder, owner, number, "jpg")
        content = pictures.jpeg(number * 5, f"Snímek č. {number} 📷")
        _insert(
            connection,
            table,
            **{"id": number, parent: owner, "sort_order": order},
            file_path=original,
            thumb_path=thumb,
            mime_type="image/jpeg",
            size_bytes=len(content),
            created_at=_MORNING,
        )
        if media_root:
            pictures.write(media_root, original, content)
            pictures.write(media_root, thumb, pictures.jpeg(number * 5, "náhled"))


def pictograms(connection: Connection, media_root: Path | None) -> None:
    """Pictures of the first items of the store."""
    for item in range(1, _PICTOGRAMS + 1):
        original, thumb = pictures.paths("inventory/ingredients", item, 1, "png")
        connection.execute(
            "UPDATE inventory_items SET pictogram_path = %s, pictogram_thumb_path = %s"
            " WHERE id = %s",
            (original, thumb, item),
        )
        if media_root:
            pictures.write(media_root, original, pictures.png(40 * item, 90, 255 - 30 * item))
            pictures.write(media_root, thumb, pictures.jpeg(20 * item, "náhled"))


def _insert(connection: Connection, table: str, **values: object) -> None:
    names = SQL(", ").join(map(Identifier, values))
    marks = SQL(", ").join([Placeholder()] * len(values))
    statement = SQL("INSERT INTO {} ({}) VALUES ({})").format(Identifier(table), names, marks)
    connection.execute(statement, list(values.values()))
