"""Validation of keys.

A key becomes a path in a directory and part of a URL in S3, and contains names that users choose. So the rule is strict
and checked in one place, before a store is accessed.
"""

import re

from controller.storage.errors import InvalidKeyError

MAX_KEY_BYTES = 1024
MAX_PART_BYTES = 200

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+@-]*\Z")
_PREFIX_END = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+@-]*\Z|\Z")


def check_key(key: str) -> str:
    """Return the key if it is valid: parts of letters, digits and `._=+@-`, joined by `/`.

    No part is empty, starts with a dot or a dash, or is longer than 200 characters. So a key is never absolute, has no
    `..` and never names a hidden file. Raises InvalidKeyError.
    """
    _check_length(key)
    for part in key.split("/"):
        if not _PART.match(part) or len(part) > MAX_PART_BYTES:
            raise InvalidKeyError(f"{_quote(key)} is not an object key: the part {_quote(part)} is not allowed")
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix if keys can start with it; the empty prefix means every key. Raises InvalidKeyError."""
    if not prefix:
        return prefix
    _check_length(prefix)
    *parts, end = prefix.split("/")
    if not all(_PART.match(part) for part in parts) or not _PREFIX_END.match(end):
        raise InvalidKeyError(f"{_quote(prefix)} is not a prefix of object keys")
    return prefix


def _check_length(key: str) -> None:
    if not key or len(key) > MAX_KEY_BYTES:
        raise InvalidKeyError(f"an object key has 1 to {MAX_KEY_BYTES} characters, this one has {len(key)}")


def _quote(text: str) -> str:
    """An untrusted text for a message: escaped and truncated."""
    shown = ascii(text)
    return shown if len(shown) <= 100 else f"{shown[:100]}…"
