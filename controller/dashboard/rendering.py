"""Renders pages from templates. Everything that is filled in is escaped; nothing in a page is a script or a style."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import HTMLResponse

from controller.dashboard.session import ProxiedSession
from controller.terminal_text import parse_line
from controller.text_format import format_age, format_duration, format_size

if TYPE_CHECKING:
    from jinja2 import Environment

HTMX_PACKAGE, HTMX_FILE = "js_lib_htmx", "static/htmx/htmx.min.js"
_OWN_ASSETS = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "player.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # With `no-referrer`, browsers would send the form of our own page with the origin `null`.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""What every page is sent with, besides the headers of all responses."""

log = logging.getLogger("c8s.dashboard")


@functools.cache
def environment() -> Environment:
    """The templates. Jinja2 is imported by the first page: most controllers start without one."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("controller.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters |= {
        "ago": ago,
        "duration": format_duration,
        "plain": plain,
        "sign": phase_sign,
        "size": format_size,
        "stamp": stamp,
    }
    found.globals |= {"assets": {name: f"/ui/static/{name}?v={_digest(data)}" for name, (data, _) in assets().items()}}
    return found


def render(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(fragment(request, template, **context), status, dict(HEADERS))


def fragment(request: Request, template: str, **context: Any) -> str:
    """The text of a template, with what all of them need."""
    dashboard = request.app.state.dashboard
    session = getattr(request.state, "session", None)
    user = getattr(request.state, "user", None)
    common: Mapping[str, Any] = {
        "ns": request.path_params.get("ns"),
        "user": user.name if user is not None else None,
        "csrf": dashboard.sessions.form_token(session) if session is not None else None,
        "proxy_sign_out": dashboard.proxy.settings.sign_out if isinstance(session, ProxiedSession) else None,
        "now": request.app.state.api_state.utc_now(),
    }
    return environment().get_template(template).render({**common, **context})


@functools.cache
def assets() -> dict[str, tuple[bytes, str]]:
    """The files that pages load, with their types. htmx is that of its package; pages work without it."""
    own = resources.files("controller.dashboard") / "static"
    found = {name: ((own / name).read_bytes(), kind) for name, kind in _OWN_ASSETS.items()}
    try:
        htmx = (resources.files(HTMX_PACKAGE) / HTMX_FILE).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        log.warning(
            "the package django-js-lib-htmx is not installed: links and forms of the dashboard load whole pages"
        )
    else:
        found["htmx.min.js"] = (htmx, _OWN_ASSETS["dashboard.js"])
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def stamp(time: datetime | None) -> str:
    """A time for people, to the second, in UTC."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def ago(time: datetime | None, now: datetime) -> str:
    """How long ago a time was."""
    return "" if time is None else f"{format_age((now - time).total_seconds())} ago"


def plain(text: object) -> str:
    """A name or a message as one printable line: without what hides, reverses or joins text."""
    return "".join(piece.text for piece in parse_line(" ".join(str(text).splitlines())))


_SIGNS = {
    "Succeeded": "✓", "Failed": "✗", "Running": "▶", "Pending": "○", "Queued": "◷", "Skipped": "–", "Cancelled": "⊘",
    "Allowed": "!",
}  # fmt: skip


def phase_sign(phase: str) -> str:
    """A sign for a phase, so that colour is never the only difference."""
    return _SIGNS.get(phase, "•")
