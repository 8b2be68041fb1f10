"""Style sheets that are parsed once for many apps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from textual.css.stylesheet import Stylesheet


@contextmanager
def parsed_styles() -> Iterator[None]:
    """Parse each style sheet once for each theme, and not again in each app: a tenth of the time of a short test."""
    parse, parsed = Stylesheet._parse_rules, dict[Any, Any]()

    def parse_once(sheet: Stylesheet, *arguments: Any, **options: Any) -> Any:
        key = (arguments, tuple(sorted(options.items())), tuple(sorted(sheet._variables.items())))
        if key not in parsed:
            parsed[key] = parse(sheet, *arguments, **options)
        return parsed[key]

    with patch.object(Stylesheet, "_parse_rules", parse_once):
        yield
