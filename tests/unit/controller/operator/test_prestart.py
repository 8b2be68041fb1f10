"""Which steps may have their pods made ahead, by what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.operator.cache.run_plan import load_run_plan
from controller.operator.prestart import find_prestartable
from tests.unit.controller.operator.world import SETTINGS, build_run, step

Json = dict[str, Any]
ALWAYS = replace(SETTINGS, step_agents="always")
ARCHIVE = {"archive": {"digest": f"sha256:{'0' * 64}"}}
GIT = {"git": {"url": "https://example.org/a.git"}}


def prestartable(*steps: Json, settings: Any = ALWAYS, **spec: Any) -> set[str]:
    run: Any = build_run(steps, spec=spec)
    return set(find_prestartable(run, load_run_plan(run), settings))


def test_step_that_waits_for_another_one_is() -> None:
    assert prestartable(step("a"), step("b", "a")) == {"b"}


@pytest.mark.parametrize(
    "more",
    [
        {"secrets": [{"secretRef": "db", "key": "password"}]},
        {"secrets": [{"secretRef": "db", "key": "password", "file": "db"}]},
        {"services": [{"name": "db", "image": "db:1", "commands": ["serve"]}]},
        {"conditional": {"when": "failure"}},
        {"conditional": {"branch": "release/*"}},
    ],
)
def test_step_that_would_do_harm_or_hardly_runs_is_not(more: Json) -> None:
    assert prestartable(step("a"), step("b", "a", **more), step("c", "a")) == {"c"}


def test_secret_of_one_combination_is_one_of_all() -> None:
    matrix = {"dimensions": {"os": ["linux", "darwin"]}}
    secrets = [{"secretRef": "db", "key": "password"}]
    assert prestartable(step("a"), step("b", "a", matrix=matrix, secrets=secrets)) == set()
    assert prestartable(step("a"), step("b", "a", matrix=matrix)) == {"b (os=linux)", "b (os=darwin)"}


def test_step_without_an_agent_has_nobody_to_open_its_gate() -> None:
    steps = (step("a", artifacts=["dist/*"]), step("b", "a"), step("c"), step("d", "c"))
    assert prestartable(*steps, settings=SETTINGS) == {"b"}
    assert prestartable(*steps, settings=SETTINGS, source=ARCHIVE) == {"b", "d"}


def test_clone_step_is_not_and_what_follows_it_is() -> None:
    """Those wait for their source all the same, see `early_pods`."""
    assert prestartable(step("a"), step("b", "a"), source=GIT) == {"a", "b"}
