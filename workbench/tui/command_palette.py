"""The command palette: actions, runs, steps, files, artifacts and pipelines in one list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

from rich.text import Text
from textual.actions import parse
from textual.app import App, SystemCommand
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.markup import escape
from textual.screen import Screen
from textual.theme import ThemeProvider

from workbench.client.errors import ClientError
from workbench.client.models import Artifact, Run, SavedPipeline
from workbench.runs.palette import PaletteItem, rank
from workbench.text.format import format_age
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import ErrorBoundary
from workbench.tui.keys import format_keys
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.screens.help import actions_of
from workbench.tui.services.interfaces import WorkbenchContext
from workbench.tui.services.launcher import SavedPipelineLauncher

Callback = Callable[[], Any]

_MAX_HITS = 60
_MAX_RUNS = 300
_MAX_ARTIFACTS = 500
_MAX_FILES = 100
_WAIT = 0.3
"""Seconds that a search waits for the lists of artifacts and pipelines, which come from the controller."""
_MOTIONS = frozenset(
    ("up", "down", "left", "right", "first", "last", "top", "end", "page-up", "page-down", "half-up", "half-down")
)
"""The last part of the names of actions that only move a cursor."""
_PIPELINE_FOLDERS = (".", "ci", "pipelines")
_DETAILS = (
    ("why", "Why", "Reasons, attempts and times"),
    ("environment", "Environment", "Variables and secrets"),
    ("events", "Events", "Kubernetes events of its Jobs and pods"),
    ("yaml", "YAML", "The pipeline as it was run"),
    ("artifacts", "Artifacts", "The files that it stored"),
)


class Palette(ErrorBoundary, CommandPalette):
    """Textual's palette, without its errors while it is closed or has no commands yet."""

    def _action_command_list(self, action: str) -> None:
        # Its list fails on a page up or down between a change of its commands and their layout.
        with suppress(KeyError):
            super()._action_command_list(action)


class ActionPalette(Palette):
    """The palette of everything that can be done or opened."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__([EverythingProvider], placeholder="Actions, runs, steps, files, pipelines …", id=id)


class ThemePalette(Palette):
    """The palette of themes."""

    def __init__(self) -> None:
        super().__init__([ThemeProvider], placeholder="Themes …")


class EverythingProvider(Provider):
    """Searches everything that the palette offers; without a search, it lists the actions."""

    async def startup(self) -> None:
        self._artifacts: tuple[Artifact, ...] = ()
        self._pipelines: tuple[SavedPipeline, ...] = ()
        self._files: list[Path] = []
        self._loading = asyncio.gather(self._load_artifacts(), self._load_pipelines(), self._load_files())

    async def shutdown(self) -> None:
        self._loading.cancel()
        with suppress(asyncio.CancelledError):
            await self._loading

    async def discover(self) -> Hits:
        for command in sorted(self.app.get_system_commands(self.screen), key=lambda each: each.title):
            yield DiscoveryHit(Text(command.title), command.callback, help=escape(command.help))

    async def search(self, query: str) -> Hits:
        await asyncio.wait([self._loading], timeout=_WAIT)
        offers = dict(self._offers())
        for score, item in rank(query, offers, _MAX_HITS):
            yield Hit(score, Text(item.title), offers[item], text=item.title, help=escape(item.detail) or None)

    @property
    def _workbench(self) -> WorkbenchContext:
        return cast("WorkbenchContext", self.app)

    @property
    def _run(self) -> Run | None:
        """The run that the screen is about."""
        name = self.screen.current_run if isinstance(self.screen, WorkbenchScreen) else None
        return self._workbench.feed.runs.get(name) if name is not None else None

    async def _load_artifacts(self) -> None:
        controller, run = self._workbench.feed.controller, self._run
        if controller is not None and run is not None:
            # Without the list, the palette has everything else.
            with suppress(ClientError):
                self._artifacts = await controller.artifacts(run.name, limit=_MAX_ARTIFACTS)

    async def _load_pipelines(self) -> None:
        controller = self._workbench.feed.controller
        if controller is not None:
            with suppress(ClientError):
                self._pipelines = await controller.pipelines()

    async def _load_files(self) -> None:
        launcher = self._workbench.launcher
        if launcher is not None:
            self._files = await asyncio.to_thread(_pipeline_files, launcher.path)

    def _offers(self) -> Iterator[tuple[PaletteItem, Callback]]:
        for command in self.app.get_system_commands(self.screen):
            yield PaletteItem("action", command.title, command.title, command.help), command.callback
        run, workbench = self._run, self._workbench
        if run is not None:
            yield from self._details(run)
            for step in run.steps:
                about = f"of {sanitize_label(run.name, 60)}, {step.phase.lower()}"
                item = PaletteItem("step", step.name, f"Step {sanitize_label(step.name, 100)}", about)
                yield item, partial(workbench.open_run, run.name, step.name)
            for artifact in self._artifacts:
                title = f"Artifact {sanitize_label(artifact.path, 100)}"
                item = PaletteItem("artifact", f"{artifact.step}/{artifact.path}", title,
                                   f"of {sanitize_label(artifact.step, 60)}")  # fmt: skip
                yield item, partial(workbench.open_details, run.name, None, "artifacts")
        for path in self._files:
            item = PaletteItem("file", str(path), f"File {sanitize_label(path.name, 100)}", f"Edit {path}")
            yield item, partial(workbench.edit_file, path)
        yield from self._runnable()
        for each in workbench.feed.runs.newest[:_MAX_RUNS]:
            yield self._run_item(each), partial(workbench.open_run, each.name)

    def _details(self, run: Run) -> Iterator[tuple[PaletteItem, Callback]]:
        step = self.screen.current_step if isinstance(self.screen, WorkbenchScreen) else None
        about = f"step {sanitize_label(step, 60)} of {run.name}" if step is not None else run.name
        for tab, title, what in _DETAILS:
            item = PaletteItem(
                "action", f"details.{tab}", f"Details: {title}", f"{what} ({sanitize_label(about, 100)})"
            )
            yield item, partial(self._workbench.open_details, run.name, step, tab)

    def _runnable(self) -> Iterator[tuple[PaletteItem, Callback]]:
        launcher = self._workbench.launcher
        if launcher is not None:
            title = f"Pipeline {sanitize_label(launcher.path.name, 100)}"
            yield PaletteItem("pipeline", "", title, "Run this folder's pipeline"), self._workbench.action_launch
        for pipeline in self._pipelines:
            name = sanitize_label(pipeline.name, 100)
            item = PaletteItem("pipeline", pipeline.name, f"Pipeline {name}", "Run it; it is saved in the cluster")
            yield item, partial(self._workbench.launch_with, SavedPipelineLauncher(pipeline))

    def _run_item(self, run: Run) -> PaletteItem:
        age = f"{format_age((self._workbench.now() - run.created_at).total_seconds())} ago" if run.created_at else ""
        about = (run.phase.lower(), sanitize_label(run.branch or "", 60), age)
        return PaletteItem("run", run.name, f"Run {sanitize_label(run.name, 100)}", ", ".join(filter(None, about)))


def _pipeline_files(path: Path) -> list[Path]:
    """The YAML files beside a pipeline file and in folders where others usually are."""
    found = [path] if path.is_file() else []
    for folder in _PIPELINE_FOLDERS:
        try:
            inside = sorted((path.parent / folder).iterdir())
        except OSError:
            continue
        found += [each for each in inside if each.suffix in (".yaml", ".yml") and each not in found and each.is_file()]
    return found[:_MAX_FILES]


def palette_commands(app: App[Any], screen: Screen[object]) -> Iterator[SystemCommand]:
    """A command for each action that is possible, also of widgets without the focus; none that only moves a cursor."""
    for title, node, binding in actions_of(screen):
        _, action, parameters = parse(binding.action)
        if (binding.id or "").rpartition(".")[2] in _MOTIONS or node.check_action(action, parameters) is False:
            continue
        call: Callable[[], Awaitable[bool]] = partial(app.run_action, binding.action, node)
        yield SystemCommand(
            f"{title}: {binding.description}", f"{binding.tooltip}  ({format_keys(app, binding)})", call
        )
