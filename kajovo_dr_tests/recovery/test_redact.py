"""Under test: that a password is found in every spelling that tools print."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy as sa

from kajovo_dr.redact import redacted

SECRET = "př/í@l:iš % ž'l\"u#ť\\"


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").replace("%", "%%"),
        repr(SECRET),
        json.dumps(SECRET),
        sa.URL.create("postgresql", "u", SECRET, "h").render_as_string(hide_password=False),
    ],
)
def test_every_spelling_is_masked(spelling: str) -> None:
    masked = redacted(f"cannot connect: {spelling}!", SECRET)
    assert "***" in masked
    assert masked.startswith("cannot connect: ")
    assert not any(part in masked for part in ("l:i", "%C5%BE", "ž"))


def test_a_password_in_a_url_is_masked_even_when_it_is_not_ours() -> None:
    text = "postgresql://jana:cizí/he@slo@db:5432/x and http://localhost/ready"
    assert redacted(text) == "postgresql://jana:***@db:5432/x and http://localhost/ready"


def test_without_a_password_the_text_stays() -> None:
    assert redacted("a@b: c", None, "") == "a@b: c"
