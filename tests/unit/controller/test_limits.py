"""The page of limits, and that the custom resources and the format have them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controller import limits
from controller.pipeline.schema import structural_schema
from embedded.limits import LIMITS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "limits.md"

UNBOUNDED = {"steps[].commands[]", "steps[].services[].commands[]"}
"""Scripts are bounded by the size of the definition, and by that of all texts of a step."""


def test_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text() == limits.render(LIMITS), "run `python -m tools.generate`"


def unbounded(schema: Any, path: str = "") -> Iterator[str]:
    """Texts, lists and maps of a schema without a maximum."""
    kind = schema.get("type")
    if kind == "string" and not {"maxLength", "enum"} & schema.keys():
        yield path
    if kind == "array":
        yield from [] if "maxItems" in schema else [path]
        yield from unbounded(schema["items"], f"{path}[]")
    if kind == "object" and "additionalProperties" in schema:
        yield from [] if "maxProperties" in schema else [path]
        yield from unbounded(schema["additionalProperties"], f"{path}.*")
    for name, inner in schema.get("properties", {}).items():
        yield from unbounded(inner, f"{path}.{name}" if path else name)


def test_every_list_and_text_of_the_format_has_a_maximum() -> None:
    assert set(unbounded(structural_schema())) == UNBOUNDED
