"""The image of an agent that runs in an engine."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from embedded.kubelet.runtime.engine.errors import EngineError
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
        name = path.removeprefix("/images/").removesuffix("/json")
        if name not in self.images or (method == "DELETE" and name == "c8s-agent:used"):
            raise EngineError(404 if name not in self.images else 409, name)
        if method == "DELETE":
            del self.images[name]
        return {"Id": f"id-{name}"}

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
