"""The schemas that are generated from the shape of a run."""

from __future__ import annotations

from typing import get_type_hints

from controller.operator.manifests import crds
from controller.run_types import objects, schema
from controller.run_types.phases import StepPhase


def test_crd_accepts_phases_of_later_versions() -> None:
    step = schema.run_status_schema()["properties"]["steps"]["items"]
    assert "enum" not in step["properties"]["phase"]


def test_crd_requires_only_what_identifies_an_item() -> None:
    status = schema.run_status_schema()
    step = status["properties"]["steps"]["items"]
    assert "required" not in status
    assert step["required"] == ["name"]
    assert step["properties"]["attempts"]["items"]["required"] == ["number"]


def test_openapi_lists_the_phases_of_a_step() -> None:
    assert schema.openapi_schemas()["StepStatus"]["properties"]["phase"]["enum"] == [str(each) for each in StepPhase]


def test_openapi_requires_what_is_always_present() -> None:
    components = schema.openapi_schemas()
    assert components["RunStatus"]["required"] == ["phase"]
    assert "completionTime" not in components["StepStatus"]["required"]


def test_openapi_defines_all_that_it_refers_to() -> None:
    components = schema.openapi_schemas(prefix="#/")
    assert _references(components) == {f"#/{name}" for name in components if name != "RunStatus"}


def test_crd_spec_has_the_fields_of_the_type() -> None:
    version = crds.pipeline_run()["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(spec["properties"]) == set(get_type_hints(objects.RunSpec))


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(_references(each) for each in value.values()))
    return set().union(*(_references(each) for each in value)) if isinstance(value, list) else set()
