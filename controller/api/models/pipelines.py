"""Pipelines of a namespace, and lint of a pipeline file."""

from typing import Any

from pydantic import Field, JsonValue

from controller.api.models.common import Entry, RequestModel, ResponseModel

EXAMPLE_PIPELINE: dict[str, JsonValue] = {
    "version": "v1alpha1",
    "name": "hello",
    "steps": [{"name": "say", "image": "busybox:1.36", "commands": ["echo hello"]}],
}


class LintRequest(RequestModel):
    """A pipeline file's text; with `event`, the response says whether the file would run for it."""

    text: str = Field(max_length=1_000_000, examples=["version: v1alpha1\nname: hello\nsteps: []\n"])
    event: str | None = Field(None, max_length=64)
    branch: str | None = Field(None, max_length=255)


class WouldRun(ResponseModel):
    """Whether an event would start a run, and why or why not."""

    runs: bool
    why: str


class LintAnswer(ResponseModel):
    """The diagnostics of lint; an empty list means no problems."""

    problems: list[Entry]
    would_run: WouldRun | None = None


class PipelineRequest(RequestModel):
    """A pipeline to store: the file as JSON, `env` as a map, with the name in the path."""

    definition: dict[str, Any] = Field(examples=[EXAMPLE_PIPELINE])


class PipelineAnswer(ResponseModel):
    """A pipeline of the namespace."""

    name: str
    definition: dict[str, Any]
    resource_version: str
    created_at: str | None


class PipelineList(ResponseModel):
    """The pipelines of the namespace, by name."""

    items: list[PipelineAnswer]
