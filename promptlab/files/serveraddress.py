"""Addresses of servers in models.yaml."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MAX_ADDRESS = 300
_PLAIN = re.compile(r"[!-~]+")


def server_problem(text: str) -> str | None:
    """Say what is wrong with the address of a server, or None.

    Names and passwords are refused: they would stand in a file that is shared, and in records.
    """
    if not _PLAIN.fullmatch(text) or len(text) > MAX_ADDRESS:
        return f"wants an address of up to {MAX_ADDRESS} plain characters, such as http://127.0.0.1:8080/v1"
    try:
        parts = urlsplit(text)
        port_is_one = parts.port != 0
    except ValueError:
        return "is no address"
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_one:
        return "wants an address such as http://127.0.0.1:8080/v1"
    if "@" in parts.netloc:
        return "takes no name and password: put a key into PROMPTLAB_SERVER_KEY"
    if parts.query or parts.fragment or "?" in text or "#" in text:
        return "takes an address without ? and #"
    return None
