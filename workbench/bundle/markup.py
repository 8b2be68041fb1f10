"""Elements of HTML and SVG as a tree, so that every text in it is escaped when it is written."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from xml.etree.ElementTree import Element, tostring


def element(tag: str, attributes: Mapping[str, str] | None = None, *content: Element | str | None) -> Element:
    """An element with text and elements in it; None is left out."""
    found = Element(tag, dict(attributes or {}))
    last: Element | None = None
    for each in content:
        if each is None:
            continue
        if not isinstance(each, str):
            found.append(each)
            last = each
        elif last is None:
            found.text = (found.text or "") + each
        else:
            last.tail = (last.tail or "") + each
    return found


def shorten_texts(root: Element, limit: int) -> None:
    """Cut each text that has more than `limit` characters; styles stay as they are."""
    for each in root.iter():
        if each.tag != "style" and each.text is not None:
            each.text = _shortened(each.text, limit)
        if each.tail is not None:
            each.tail = _shortened(each.tail, limit)


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[: limit - 1] + ("…\n" if text.endswith("\n") else "…")


def written_size(text: str) -> int:
    """Bytes of a text in a document."""
    return len(escape(text, quote=False).encode(errors="replace"))


def write_html(root: Element) -> str:
    """The document as HTML 5. Attributes and texts are escaped; only the content of `style` is written as it is."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"
