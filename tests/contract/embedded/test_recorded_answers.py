"""The embedded server gives the answers that were recorded from a real Kubernetes.

With C8S_TEST_KUBECONFIG the same scenarios are played against the cluster that this kubeconfig names.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from embedded.kubelet.runtime.engine.connection.detect import FoundEngine
from tests.contract.embedded import kubeconfig
from tests.support.engine import engine, engine_files, engine_images
from tests.support.kubernetes import run_cluster

__all__ = ["engine"]

_RECORDED = Path(__file__).parent.parent / "kubernetes"
_FILES = {
    "scenarios.yaml": "recorded-v1.36.2.json",
    "workloads.yaml": "recorded-workloads-v1.36.2.json",
    "more.yaml": "recorded-more-v1.36.2.json",
    "relied-on.yaml": "recorded-relied-on-v1.36.2.json",
    "variants.yaml": "recorded-variants-v1.36.2.json",
}
_SCENARIOS = [
    pytest.param(file, scenario, id=scenario["name"])
    for file in _FILES
    for scenario in yaml.load((_RECORDED / file).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
]

_AT_A_TIME = 4
_WITH_PODS = ("workloads.yaml", "relied-on.yaml")

pytestmark = pytest.mark.xdist_group("recorded-answers")


def _load_player() -> ModuleType:
    spec = importlib.util.spec_from_file_location("play", _RECORDED / "play.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


play = _load_player()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if real := os.environ.get("C8S_TEST_KUBECONFIG"):
        yield kubeconfig.server_of(Path(real), tmp_path_factory.mktemp("kubeconfig"), play)
        return
    with run_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield play.Server(cluster.url, cluster.token)


@pytest.fixture(scope="module")
def engine_server(tmp_path_factory: pytest.TempPathFactory, engine: FoundEngine) -> Iterator[Any]:
    """The embedded server with an engine, which has the images of the recorded pods."""
    options = ("--runtime", engine.info.name, "--engine", str(engine.address), "--engine-files", engine_files())
    with (
        engine_images(engine, "busybox:1.36"),
        run_cluster(tmp_path_factory.mktemp("engine-cluster"), *options) as cluster,
    ):
        yield play.Server(cluster.url, cluster.token)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return {file: json.loads((_RECORDED / answers).read_text()) for file, answers in _FILES.items()}


Played = dict[str, "Future[list[dict[str, Any]]]"]


@contextmanager
def _play_selected(request: pytest.FixtureRequest, test: str, server: Any) -> Iterator[Played]:
    """Scenario -> its answers: those of the selected cases of `test` are played, some at a time.

    Each has a namespace and names of its own, and most of them wait most of the time.
    """
    selected = [item for item in request.session.items if getattr(item, "originalname", "") == test]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        try:
            scenarios = [item.callspec.params["scenario"] for item in selected]  # type: ignore[attr-defined]
            yield {scenario["name"]: pool.submit(play.play, server, scenario) for scenario in scenarios}
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, server: Any) -> Iterator[Played]:
    with _play_selected(request, "test_the_server_answers_as_recorded", server) as found:
        yield found


@pytest.fixture(scope="module")
def played_in_engine(request: pytest.FixtureRequest, engine_server: Any) -> Iterator[Played]:
    with _play_selected(request, "test_pods_in_an_engine_do_as_recorded", engine_server) as found:
        yield found


@pytest.mark.parametrize(("file", "scenario"), _SCENARIOS)
def test_the_server_answers_as_recorded(
    file: str, scenario: dict[str, Any], played: Played, recorded: dict[str, Any]
) -> None:
    answers = recorded[file][scenario["name"]]
    found = played[scenario["name"]].result()
    assert len(found) == len(answers)
    assert list(play.differences(scenario, answers, found)) == []


@pytest.mark.parametrize(("file", "scenario"), [each for each in _SCENARIOS if each.values[0] in _WITH_PODS])
def test_pods_in_an_engine_do_as_recorded(
    file: str, scenario: dict[str, Any], played_in_engine: Played, recorded: dict[str, Any]
) -> None:
    answers = recorded[file][scenario["name"]]
    found = played_in_engine[scenario["name"]].result()
    assert list(play.differences(scenario, answers, found)) == []
