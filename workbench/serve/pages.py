"""The pages and files of the server: its own, and the terminal of textual-serve. Nothing comes from another host."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_OWN, _TERMINAL = "workbench.serve", "textual_serve"
_FILES = {
    "serve.css": (_OWN, "page/serve.css", "text/css; charset=utf-8"),
    "serve.js": (_OWN, "page/serve.js", "text/javascript; charset=utf-8"),
    "textual.js": (_TERMINAL, "static/js/textual.js", "text/javascript; charset=utf-8"),
    "xterm.css": (_TERMINAL, "static/css/xterm.css", "text/css; charset=utf-8"),
    **{
        name: (_TERMINAL, f"static/fonts/{name}", "font/ttf")
        for name in ("RobotoMono-VariableFont_wght.ttf", "RobotoMono-Italic-VariableFont_wght.ttf")
    },
}
_SMALLEST_FONT, _LARGEST_FONT, _FONT = 8, 40, 15


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    type: str


@lru_cache(maxsize=len(_FILES))
def static_file(name: str) -> StaticFile | None:
    """The file of this name; None if there is none."""
    if name not in _FILES:
        return None
    package, path, type = _FILES[name]
    return StaticFile(files(package).joinpath(path).read_bytes(), type)


def index_page(nonce: str, font_size: str) -> str:
    """The page that shows a workbench. Style elements with the nonce are allowed by its policy."""
    size = int(font_size) if font_size.isascii() and font_size.isdigit() and len(font_size) < 3 else _FONT
    return _page("index.html", nonce=nonce, font_size=str(max(_SMALLEST_FONT, min(size, _LARGEST_FONT))))


def message_page(text: str) -> str:
    """A page that says something."""
    return _page("message.html", text=html.escape(text), refresh="", more="")


def entered_page() -> str:
    """The page that goes on to the workbench: a redirect would not bring a cookie of SameSite=Strict along."""
    refresh = '\n<meta http-equiv="refresh" content="0;url=/">'
    return _page("message.html", text="Opening …", refresh=refresh, more='<p><a href="/">Open the workbench</a></p>')


def _page(name: str, **values: str) -> str:
    text = files(_OWN).joinpath("page", name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    return text


def content_policy(host: str, nonce: str) -> str:
    """The content security policy of a page that was reached under `host`."""
    sources = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'self' 'nonce-{nonce}'",
        "font-src": "'self'",
        "img-src": "data:",
        # Safari does not count a WebSocket of the same host as 'self'.
        "connect-src": f"'self' ws://{host} wss://{host}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in sources.items())
