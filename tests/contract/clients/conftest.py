"""A cluster for other people's clients, each of which is used through its public interface only.

The clients live in an environment of their own, which `requirements.txt` describes; the cluster is run by the
project's interpreter.
"""

from __future__ import annotations

import gc
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubernetes import ClusterProcess, run_cluster
from tests.support.waiting import wait_until

_numbers = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings of the clients are not errors of these tests, and a client that hangs is stopped early."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(60))


def _project_interpreter(repository: Path) -> str:
    """The interpreter for which the project is installed."""
    installed = repository / ".venv" / "bin" / "python"
    return str(installed) if installed.exists() else sys.executable


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[ClusterProcess]:
    with run_cluster(tmp_path_factory.mktemp("cluster"), python=_project_interpreter(repository)) as running:
        yield running


@pytest.fixture(scope="session")
def kubeconfig(cluster: ClusterProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "embedded", "cluster": {"server": cluster.url}}],
        "users": [{"name": "admin", "user": {"token": cluster.token}}],
        "contexts": [{"name": "embedded", "context": {"cluster": "embedded", "user": "admin"}}],
        "current-context": "embedded",
    }
    path = tmp_path_factory.mktemp("kubeconfig") / "config"
    path.write_text(json.dumps(config))
    return path


@pytest.fixture(autouse=True)
def _client_environment(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every client finds the cluster as it would on a developer's machine."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    # Connections that a client has left open are collected here, where its warnings are ignored.
    gc.collect()


class Rest:
    """Plain requests for what a test does beside its client."""

    def __init__(self, cluster: ClusterProcess) -> None:
        self._cluster = cluster

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body: decoded where it is JSON."""
        headers = {"Authorization": f"Bearer {self._cluster.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._cluster.url + path, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, _decode(answer)
        except urllib.error.HTTPError as error:
            return error.code, _decode(error)


def _decode(answer: Any) -> Any:
    content = answer.read()
    return json.loads(content) if answer.headers.get_content_type() == "application/json" else content.decode()


@pytest.fixture(scope="session")
def rest(cluster: ClusterProcess) -> Rest:
    return Rest(cluster)


@pytest.fixture
def namespace(rest: Rest) -> Iterator[str]:
    """A namespace of the test's own, with its default ServiceAccount. Its pods end with the test: a node has few."""
    name = f"test-{next(_numbers)}"
    assert rest("POST", "/api/v1/namespaces", {"metadata": {"name": name}})[0] == 201
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_until(lambda: rest("GET", account)[0] == 200, what="the default ServiceAccount")
    yield name
    assert rest("DELETE", f"/api/v1/namespaces/{name}/pods?gracePeriodSeconds=0")[0] == 200
