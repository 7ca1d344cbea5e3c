"""What the hotel API promises to answer: one bad row turns a whole list into a 500.

Belongs here: shapes and bounds. Not here: where the rows come from (``modules``).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, Json, TypeAdapter

Words = Annotated[str, Field(min_length=3)]
Role = Literal["admin", "pokojská", "údržba", "recepce", "snídaně", "sklad"]
LostFoundStatus = Literal["new", "stored", "claimed", "returned", "disposed"]
BreakfastStatus = Literal["pending", "preparing", "served", "cancelled"]
ReportStatus = Literal["open", "in_progress", "closed"]


class _Stored(BaseModel):
    id: int
    created_at: AwareDatetime


class _Kept(_Stored):
    updated_at: AwareDatetime


class Photo(_Stored):
    """A picture's row; its file lies below the media root."""

    sort_order: int
    mime_type: str
    size_bytes: int
    file_path: str
    thumb_path: str


class BreakfastOrder(_Kept):
    """Orders for nobody (guest_count 0) are never listed."""

    service_date: date
    room_number: str
    guest_name: str
    guest_count: int = Field(ge=1, le=20)
    status: BreakfastStatus
    note: str | None
    diet_no_gluten: bool
    diet_no_milk: bool
    diet_no_pork: bool


class BreakfastSummary(BaseModel):
    """One day's kitchen plan."""

    service_date: date
    total_orders: int
    total_guests: int
    status_counts: dict[BreakfastStatus, int]


class LostFoundItem(_Kept):
    """Something found, or missed by a guest."""

    item_type: Literal["lost", "found"]
    description: Words
    category: str
    location: str
    room_number: str | None
    event_at: AwareDatetime
    status: LostFoundStatus
    tags: Json[list[str]] = Field(validation_alias="tags_json")
    claimant_name: str | None
    claimant_contact: str | None
    handover_note: str | None
    claimed_at: AwareDatetime | None
    returned_at: AwareDatetime | None
    photos: list[Photo]


class Issue(_Kept):
    """A defect for the maintenance."""

    title: Words
    description: str | None
    location: str
    room_number: str | None
    priority: Literal["low", "medium", "high", "critical"]
    status: Literal["new", "in_progress", "resolved", "closed"]
    assignee: str | None
    in_progress_at: AwareDatetime | None
    resolved_at: AwareDatetime | None
    closed_at: AwareDatetime | None
    photos: list[Photo]


class Report(_Kept):
    """A note of the reception."""

    title: Words
    description: str | None
    status: ReportStatus
    photos: list[Photo]


class NewReport(BaseModel):
    """Body of POST /api/v1/reports."""

    title: str = Field(min_length=3, max_length=255)
    description: str | None = None
    status: ReportStatus = "open"


class InventoryItem(_Kept):
    """Something in the store room."""

    name: str
    unit: Literal["g", "l", "ks"]
    min_stock: int
    current_stock: int
    amount_per_piece_base: int
    pictogram_path: str | None
    pictogram_thumb_path: str | None


class Movement(_Stored):
    """One change of stock."""

    item_id: int
    item_name: str
    unit: Literal["g", "l", "ks"]
    card_id: int | None
    card_item_id: int | None
    card_number: str | None
    movement_type: Literal["in", "out", "adjust"]
    quantity: int = Field(ge=1)
    quantity_pieces: int
    document_number: str | None
    document_date: date | None
    document_reference: str | None
    note: str | None


class InventoryItemDetail(InventoryItem):
    """An item with its movements."""

    movements: list[Movement]


class Card(_Kept):
    """A document of the store room."""

    card_type: Literal["in", "out"]
    number: str
    card_date: date
    supplier: str | None
    reference: str | None
    note: str | None


class User(_Kept):
    """A portal user; a damaged role name is a 500."""

    first_name: str
    last_name: str
    email: str
    phone: str | None
    note: str | None
    is_active: bool
    roles: list[Role]
    last_login_at: AwareDatetime | None


class SmtpSettings(BaseModel):
    """password_masked: first and last character; empty when it cannot be read."""

    from_email: str | None
    host: str
    port: int
    username: str
    password_masked: str
    use_tls: bool
    use_ssl: bool
    last_tested_at: AwareDatetime | None
    last_test_success: bool | None
    last_test_error: str | None


class Credentials(BaseModel):
    """Body of a login."""

    email: str
    password: str


class Me(BaseModel):
    """Who is logged in."""

    email: str
    role: str
    roles: list[str]
    active_role: str | None
    permissions: list[str]
    actor_type: str


BREAKFAST = TypeAdapter(list[BreakfastOrder])
LOST_FOUND = TypeAdapter(list[LostFoundItem])
ISSUES = TypeAdapter(list[Issue])
REPORTS = TypeAdapter(list[Report])
INVENTORY = TypeAdapter(list[InventoryItem])
MOVEMENTS = TypeAdapter(list[Movement])
CARDS = TypeAdapter(list[Card])
USERS = TypeAdapter(list[User])
