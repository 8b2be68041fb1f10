"""The texts that a part of a log may stand for: as it is read, and with its escapes undone, maybe repeatedly. Pure.

Which notations are undone one after the other is fixed, because a step that prints all of them must not cost more than
a multiple of one that prints none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from controller.logs.masking.control_sequences import has_controls, visible, visible_text
from controller.logs.masking.escapes import Kind, Notation
from controller.logs.masking.views import View

_P, _B, _R, _Q, _D = Kind.PERCENT, Kind.BACKSLASH, Kind.REFERENCE, Kind.QUOTE, Kind.DOUBLED
_F = Kind.FORM
_KNOWN = frozenset(
    {
        *((_P,), (_P, _P), (_P, _B), (_F,), (_F, _B)),
        *((_B,), (_B, _B), (_B, _B, _B), (_B, _R), (_B, _Q), (_B, _D)),
        *((_R,), (_R, _R), (_R, _B)),
        *((_Q,), (_Q, _B), (_D,), (_D, _B)),
    }
)
_BACKSLASHES = {Kind.BACKSLASH: (Kind.BACKSLASH, Kind.CHARACTER)}
ORDERS = frozenset(each for order in _KNOWN for each in product(*(_BACKSLASHES.get(kind, (kind,)) for kind in order)))
"""The orders in which notations are undone, the outermost first.

Percent-encoding leaves nothing for others to escape, so it is never within another one.
"""


@dataclass(frozen=True)
class Layer:
    """A text, and how it was made from another one: by undoing a notation, then removing control sequences."""

    text: bytes
    parent: Layer | None = None
    notation: Notation | None = None
    has_removed: bool = False
    source: bytes = b""
    """The text with control sequences."""
    is_cut: bool = False
    """Whether what is missing at the end of the text began with an escape that is cut off."""
    order: tuple[Kind, ...] = ()

    @cached_property
    def _views(self) -> list[View]:
        """From this text to the parent's, or to the data."""
        found = [visible(self.source)] if self.has_removed else []
        if self.notation is not None and self.parent is not None:
            found.append(self.notation.view(self.source, self.parent.text))
        return found

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the text, not an empty one, is in the data."""
        for view in self._views:
            start, end = view.span(start, end)
        return (start, end) if self.parent is None else self.parent.span(start, end)

    def is_new(self, start: int, end: int) -> bool:
        """Whether a part of the text is not in the parent's as it is."""
        for view in self._views:
            if not view.is_same(start, end):
                return True
            start, end = view.span(start, end)
        return self.parent is None

    def position(self, index: int) -> int:
        """Where a byte of the text begins in the data."""
        return self.span(index, index + 1)[0]


def layers(
    data: bytes, notations: list[Notation], *, is_cut: bool = False, keeps_controls: bool = False
) -> Iterator[Layer]:
    """The data as it is read, then every other text that results from undoing notations.

    Only those in which a secret may be; of data that is cut off, also those in which one may begin.

    Args:
        keeps_controls: whether control sequences stay, in all texts.
    """
    cut_off = notations if is_cut else []
    root = _read(Layer(data, source=data), cut_off, keeps_controls)
    yield root
    seen, waiting = {root.text}, [root]
    while waiting:
        layer = waiting.pop()
        for notation in notations:
            order = (*layer.order, notation.kind)
            if order not in ORDERS:
                continue
            if not (notation.is_present(layer.text) if is_cut else notation.is_needed(layer.text)):
                continue
            text = notation.unescape(layer.text)
            if text == layer.text:
                continue
            found = _read(Layer(text, layer, notation, source=text, order=order), cut_off, keeps_controls)
            waiting.append(found)
            if found.text not in seen:
                seen.add(found.text)
                yield found


def _read(layer: Layer, cut_off: list[Notation], keeps_controls: bool) -> Layer:
    """The layer without control sequences, and without what these notations have at its end that is cut off."""
    text = layer.source
    has_removed = not keeps_controls and has_controls(text)
    read = visible_text(text) if has_removed else text
    whole, size = read, -1
    # What one notation has at the end may be a part of what another one has.
    while len(whole) != size:
        size = len(whole)
        whole = whole[: min((notation.incomplete_start(whole) for notation in cut_off), default=size)]
    return replace(layer, text=whole, has_removed=has_removed, is_cut=len(whole) < len(read))
