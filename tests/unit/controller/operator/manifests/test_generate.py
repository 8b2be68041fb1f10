"""The committed manifests are what the code makes."""

from __future__ import annotations

from controller.operator.manifests import crds, generate


def test_the_committed_manifests_are_those_that_the_code_makes() -> None:
    made = {name: generate.render(document) for name, document in generate.manifests().items()}
    committed = {path.name: path.read_text() for path in generate.FOLDER.glob("*.json")}
    assert committed == made, "run `python -m controller.operator.manifests.generate`"


def test_everything_that_a_status_holds_is_in_the_schema() -> None:
    from tests.unit.controller.operator.world import MANIFEST, World, step

    world = World(step("a", artifacts=["x"]), step("b", "a")).reconcile()
    world.start_step("a")
    world.cancel()
    world.reconcile()
    _fits(world.status, crds.pipeline_run()["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    again = World(step("a", artifacts=["x"]), step("b", "a")).reconcile()
    again.stored["a", 1] = MANIFEST
    again.run_step("a").run_step("b")
    _fits(again.status, crds.pipeline_run()["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def _fits(status: object, schema: dict[str, object]) -> None:
    """What a schema does not name, the API server would drop without a word."""
    _each(status, schema["properties"]["status"], "status")  # type: ignore[index]


def _each(value: object, schema: dict[str, object], path: str) -> None:
    if isinstance(value, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        for key, inner in value.items():
            assert key in schema["properties"], f"{path}.{key}"  # type: ignore[operator]
            _each(inner, schema["properties"][key], f"{path}.{key}")  # type: ignore[index]
    elif isinstance(value, list):
        for inner in value:
            _each(inner, schema["items"], f"{path}[]")  # type: ignore[arg-type]
