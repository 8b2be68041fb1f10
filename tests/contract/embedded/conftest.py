"""One cluster for the tests of a module, and calls on it."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.kubectl import kubectl
from tests.support.kubernetes import TOKEN, ClusterProcess, run_cluster

# A user without any role.
STRANGER = "test-stranger-token"

__all__ = ["kubectl"]


class Api:
    """Sends plain requests, each on its own connection."""

    def __init__(self, cluster: ClusterProcess) -> None:
        self.cluster = cluster
        url = urllib.parse.urlsplit(cluster.url)
        self._address = (str(url.hostname), int(url.port or 0))

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = TOKEN,
        content_type: str | None = "application/json",
        **headers: str,
    ) -> tuple[int, Any]:
        """Status and body: decoded where it is JSON. None for `content_type` sends no such header."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            sent["Content-Type"] = content_type
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(*self._address, timeout=60)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            text = answer.read()
            is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
            if is_json and "watch=true" in path:
                return answer.status, [json.loads(line) for line in text.splitlines()]
            return answer.status, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    stranger = f"{STRANGER},stranger,stranger\n"
    with run_cluster(tmp_path_factory.mktemp("cluster"), extra_tokens=stranger) as cluster:
        yield Api(cluster)
