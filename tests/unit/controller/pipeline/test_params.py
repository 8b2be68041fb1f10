"""Parameters of a run."""

from __future__ import annotations

from controller.pipeline.params import resolve_params


def test_parameters_are_resolved_or_reported() -> None:
    declared = [{"name": "target", "default": "dev", "options": ["dev", "prod"]}, {"name": "who"}]
    assert resolve_params(declared, {"who": "me"}) == ({"target": "dev", "who": "me"}, [])
    values, problems = resolve_params(declared, {"target": "test", "whom": "me"})
    assert values == {}
    assert dict(problems) == {
        "whom": "the pipeline has no parameter `whom`; did you mean `who`?",
        "target": "`target` can't be 'test'; it can be dev, prod",
        "who": "the parameter `who` has no default: give it a value",
    }
