"""How the hotel keeps passwords: ``scrypt$salt$digest``.

Belongs here: hashing and comparing. Not here: who may log in (``login``).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


def hashed(password: str, salt: bytes | None = None) -> str:
    """The text to store. A salt is given by the seed alone, which must be repeatable."""
    salt = salt or secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_digest(password, salt).hex()}"


def matches(password: str, stored: str) -> bool:
    """Whether this is the password; a damaged text matches nothing."""
    try:
        scheme, salt, digest = stored.split("$")
        expected = bytes.fromhex(digest)
        given = _digest(password, bytes.fromhex(salt))
    except ValueError:
        return False
    return scheme == "scrypt" and hmac.compare_digest(given, expected)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=32)
