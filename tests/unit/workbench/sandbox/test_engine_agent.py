"""The image of an agent that runs in an engine."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from embedded.kubelet.runtime.engine.connection import detect
from embedded.kubelet.runtime.engine.connection.address import EngineAddress
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine
from embedded.kubelet.runtime.engine.connection.info import EngineInfo
from embedded.kubelet.runtime.engine.errors import EngineError
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError
from workbench.sandbox import engine_agent


class FakeEngine:
    """An engine with images by name, which builds what it is asked to, or says why not."""

    def __init__(self, images: dict[str, int], failure: str = "") -> None:
        self.images = images
        """Name -> when it was made."""
        self.failure = failure
        self.requests: list[str] = []
        self.context: bytes = b""

    def __call__(self, method: str, path: str, body: Any = None, /, **query: str) -> Any:
        self.requests.append(f"{method} {path}")
        if path == "/images/json":
            assert json.loads(query["filters"]) == {"label": ["dev.c8s.role=agent-image"]}
            ours = {name: made for name, made in self.images.items() if name.startswith("c8s-agent")}
            return [{"Id": f"id-{name}", "RepoTags": [name], "Created": made} for name, made in ours.items()]
        if path == "/networks/bridge":
            # Of the virtual machine.
            return {"IPAM": {"Config": [{"Gateway": "192.0.2.1"}]}}
        name = path.removeprefix("/images/").removesuffix("/json")
        if name not in self.images or (method == "DELETE" and name == "c8s-agent:used"):
            raise EngineError(404 if name not in self.images else 409, name)
        if method == "DELETE":
            del self.images[name]
        return {"Id": f"id-{name}"}

    def connect(self) -> None:
        """Nothing has to be found out."""

    def text(self, method: str, path: str, body: Any = None, /, **query: str) -> str:
        self.requests.append(f"{method} {path}")
        if self.failure:
            return '{"stream": "Step 1"}\n' + json.dumps({"error": self.failure}) + "\n"
        self.images[query["t"] if path == "/build" else query["fromImage"]] = 100
        self.context = body or b""
        return '{"stream": "done"}\n'


def test_the_image_is_built_once_and_old_ones_go_unless_they_are_used() -> None:
    engine = FakeEngine({"other:1": 1, "c8s-agent:used": 1, "c8s-agent:old": 2, "c8s-agent:last": 3})
    messages: list[str] = []
    tag = engine_agent._image(engine, "base:1", messages.append)
    assert messages == ["pulling base:1 for the agent (once)", "building the image of the agent (once)"]
    assert set(engine.images) == {"other:1", "base:1", "c8s-agent:used", "c8s-agent:last", tag}
    with tarfile.open(fileobj=io.BytesIO(engine.context)) as context:
        assert {"Dockerfile", "agent/__main__.py"} <= set(context.getnames())
    engine.requests.clear()
    assert engine_agent._image(engine, "base:1", messages.append) == tag
    assert (len(messages), {line.split()[0] for line in engine.requests}) == (2, {"GET"})


def test_what_keeps_an_image_from_being_made_is_reported() -> None:
    with pytest.raises(EngineError, match="no space left"):
        engine_agent._image(FakeEngine({}, "no space left"), "base:1", lambda _: None)
    with pytest.raises(EngineError, match="no space left"):
        engine_agent._image(FakeEngine({"base:1": 1}, "no space left"), "base:1", lambda _: None)


@pytest.mark.parametrize(
    ("engine", "gateway", "ways"),
    [
        # Docker Desktop takes the first, Docker on Linux the second, Colima the third.
        ("docker", "172.17.0.1", [("", True), ("172.17.0.1", True), ("", False)]),
        ("docker", "", [("", True), ("", False)]),
        ("podman", "10.88.0.1", [("", False), ("10.88.0.1", False)]),
    ],
)
def test_every_way_from_containers_to_this_machine_is_tried(
    engine: str, gateway: str, ways: list[tuple[str, bool]]
) -> None:
    found = engine_agent.ways_to_host(engine, "c8s-agent:1", gateway)
    assert [(each.gateway, bool(each.pod_hosts)) for each in found] == ways
    assert {each.host for each in found} == {f"host.{engine.replace('podman', 'containers')}.internal"}


def test_the_first_way_that_leads_here_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As with Colima, where an entry in /etc/hosts would lead into its virtual machine."""
    engine = FakeEngine({"base:1": 1})
    tried: list[tuple[str, ...]] = []

    def reaches(request: Any, agent: engine_agent.EngineAgent, port: int, labels: Any) -> bool:
        assert port > 0
        tried.append(agent.pod_hosts)
        return not agent.pod_hosts

    monkeypatch.setattr(engine_agent, "_reaches", reaches)
    monkeypatch.setattr(detect, "EngineRequests", lambda address, timeout: engine)
    found = FoundEngine(EngineAddress(path="/x.sock"), EngineInfo("docker", "27", "1.46"))
    agent = engine_agent.prepare_agent(found, tmp_path, "base:1")
    assert (agent.host, agent.gateway, agent.pod_hosts) == ("host.docker.internal", "", ())
    assert tried == [("host.docker.internal:host-gateway",), ()]
    monkeypatch.setattr(engine_agent, "_reaches", lambda *_: False)
    with pytest.raises(RuntimeUnavailableError, match=r"do not reach this machine by the name host\.docker\.internal"):
        engine_agent.prepare_agent(found, tmp_path, "base:1")
