"""Taking a password out of text that somebody else wrote, in every spelling it may have there.

Belongs here: the spellings. Not here: which text is shown.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

MASK = "***"
#: ``scheme://user:password@``: greedy, because a raw password may itself hold ``@`` or ``/``.
_LOGIN_IN_URL = re.compile(r"(://[^\s:/@]*:)\S*@")


def redacted(text: str, *secrets: str | None) -> str:
    """The text without the secrets and without any password in a URL."""
    for secret in secrets:
        for spelling in _spellings(secret) if secret else ():
            text = text.replace(spelling, MASK)
    return _LOGIN_IN_URL.sub(rf"\1{MASK}@", text)


def _spellings(secret: str) -> list[str]:
    """Raw, percent-encoded (``%`` doubled for ConfigParser), and quoted by Python and JSON."""
    # the third is SQLAlchemy's own
    urls = [quote(secret, safe=""), quote_plus(secret), quote(secret, safe=" +"), quote(secret)]
    quoted = [repr(secret)[1:-1], json.dumps(secret)[1:-1]]
    found = {secret, *urls, *(url.replace("%", "%%") for url in urls), *quoted}
    return sorted(found, key=len, reverse=True)
