"""Validation of definitions: once, for each form in which a definition is met again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.pipeline import definition as module
from controller.pipeline.definition import InvalidDefinitionError, normalized_definition, validate_definition

STEP = {"name": "a", "image": "busybox:1.36", "commands": ["true"]}
VALID: dict[str, Any] = {
    "version": "v1alpha1",
    "name": "x",
    "env": [{"name": "A", "value": "1"}],
    "matrix": {"strategy": [{"dimension": "os", "values": ["linux"]}]},
    "steps": [STEP],
}


@pytest.fixture(autouse=True)
def _no_known_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_known", module.OrderedDict())


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The definitions that lint was asked about."""
    seen: list[Any] = []
    check = module.check_definition

    def record(definition: Any) -> Any:
        seen.append(definition)
        return check(definition)

    monkeypatch.setattr(module, "check_definition", record)
    return seen


def test_normalized_form_is_not_validated_again(checks: list[Any]) -> None:
    pipeline = validate_definition(VALID)
    normalized = json.loads(json.dumps(normalized_definition(pipeline)))
    assert normalized["env"] == {"A": "1"}
    assert validate_definition(normalized) is pipeline
    assert validate_definition(VALID) is pipeline
    assert checks == [VALID]


def test_normalized_form_is_valid_by_itself() -> None:
    normalized = normalized_definition(validate_definition(VALID))
    module._known.clear()
    assert normalized_definition(validate_definition(normalized)) == normalized


def test_order_of_dimensions_is_kept() -> None:
    for names in (["os", "py"], ["py", "os"]):
        definition = {"name": "x", "steps": [STEP], "matrix": {"dimensions": {name: ["1"] for name in names}}}
        matrix = validate_definition(definition).matrix
        assert matrix is not None
        assert list(matrix.dimensions) == names


def test_invalid_definition_is_reported_each_time(checks: list[Any]) -> None:
    for _ in range(2):
        with pytest.raises(InvalidDefinitionError, match=r"steps\[0\]\.dependsOn\[0\]: there is no step `b`") as caught:
            validate_definition({"name": "x", "steps": [{**STEP, "dependsOn": ["b"]}]})
        assert [each.code for each in caught.value.diagnostics] == ["unknown-dependency"]
    assert len(checks) == 2


def test_text_that_is_not_unicode_is_reported_by_the_model() -> None:
    with pytest.raises(InvalidDefinitionError, match="unicode") as caught:
        validate_definition({"name": "x", "steps": [{**STEP, "commands": ["\ud800"]}]})
    assert caught.value.diagnostics == ()


def test_old_definitions_are_forgotten(checks: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KNOWN", 4)
    for number in range(5):
        validate_definition({"name": f"x{number}", "steps": [STEP]})
    assert len(module._known) <= 4
    validate_definition({"name": "x4", "steps": [STEP]})
    assert len(checks) == 5
    validate_definition({"name": "x0", "steps": [STEP]})
    assert len(checks) == 6
