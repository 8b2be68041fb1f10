"""Elements of HTML and SVG as a tree, so that every text in it is escaped when it is written."""

from __future__ import annotations

from collections.abc import Mapping
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


def write_html(root: Element) -> str:
    """The document as HTML 5. Attributes and texts are escaped; only the content of `style` is written as it is."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"
