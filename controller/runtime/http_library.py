"""Imports aiohttp without reading this machine's certificate authorities.

aiohttp makes a context for its own verified connections when it is imported, and reading the authorities takes as long
as half of that import. Nothing here connects with that context: clients of https get a context of their own.
"""

import os

_AUTHORITIES = "SSL_CERT_FILE"
"""OpenSSL's variable for the file of authorities."""


def import_aiohttp() -> None:
    """Import aiohttp. Contexts that are made later read the authorities as usual."""
    before = os.environ.get(_AUTHORITIES)
    os.environ[_AUTHORITIES] = os.devnull
    try:
        import aiohttp  # noqa: F401 - later imports find it
    finally:
        if before is None:
            del os.environ[_AUTHORITIES]
        else:
            os.environ[_AUTHORITIES] = before
