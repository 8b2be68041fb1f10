"""Opens the browser of this machine on an address with a ticket."""

from __future__ import annotations

import html
import secrets
import time
import webbrowser
from pathlib import Path

_FOLDER = "open_pages"
"""Its name is not one of a sandbox."""
_KEPT_SECONDS = 60.0
"""How long the files that lead browsers on stay."""


def open_browser(address: str) -> bool:
    """Start a browser on an address; False if there is none."""
    return webbrowser.open(lead_to(address).as_uri())


def lead_to(address: str) -> Path:
    """A file that leads a browser to the address.

    Other users of this machine see the arguments of the browser's process, but not this file.
    """
    from controller.files import write_private
    from workbench.sandbox.paths import state_root

    folder = state_root() / _FOLDER
    for old in folder.glob("*.html"):
        if time.time() - old.stat().st_mtime > _KEPT_SECONDS:
            old.unlink(missing_ok=True)
    safe = html.escape(address)
    file = folder / f"{secrets.token_hex(8)}.html"
    write_private(
        file,
        f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>c8s</title>'
        f'<meta http-equiv="refresh" content="0;url={safe}"><p><a href="{safe}">Go on</a></p>\n',
    )
    return file
