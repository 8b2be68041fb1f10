"""Variables in the text of a pipeline."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.templates import find_references, render

_quick = settings(max_examples=200, deadline=None)


def test_rendered_values_are_not_rendered_again() -> None:
    values = {"params.x": "{{run.name}}", "matrix.go-version": "1.21"}
    assert render("a {{ params.x }} b", values) == "a {{run.name}} b"
    assert render("go:${{matrix.go-version}}", values) == "go:1.21"
    assert render("{{.Names}} {{params.y}} {{hash go.sum}}", values) == "{{.Names}} {{params.y}} {{hash go.sum}}"


@_quick
@given(st.text(st.sampled_from("{}$ab. "), max_size=30), st.text(max_size=10))
def test_rendering_changes_only_known_variables(text: str, value: str) -> None:
    assert render(text, {}) == text
    if not list(find_references(text)):
        assert render(text, {"a": value, "b": value, "a.b": value}) == text
