"""Plays random sequences of keys, pastes, mouse events, resizes, changes of runs and disconnections against the app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from textual import events
from textual.app import App
from textual.geometry import Size

from tests.support.tui.fakes import FakeController, FakeLauncher, FakeWorkbench, hello, run, step, webshop
from workbench.client import (
    BacklogEnd,
    Frame,
    LinePart,
    Lines,
    LogLine,
    Run,
    RunChanged,
    RunDeleted,
    RunEnd,
    RunsListed,
    SavedPipeline,
    Step,
    StreamEnd,
    StreamKey,
)
from workbench.client.errors import ClientError
from workbench.pipeline_file.load import LintOutcome
from workbench.tui.ordered_input import OrderedInput

_KEYS = (
    "enter", "enter", "enter", "escape", "escape", "escape", "tab", "shift+tab", "up", "down", "left", "right",
    "home", "end", "pageup", "pagedown", "space", "backspace", "delete", "slash", "slash", "ampersand", "n", "N", "i",
    "right_square_bracket", "left_square_bracket", "E", "t", "T", "p", "c", "y", "plus", "minus", "ctrl+n", "s", "w",
    "number_sign", "m", "j", "k", "h", "l", "g", "G", "ctrl+u", "ctrl+d", "ctrl+b", "ctrl+f", "v", "z", "1", "2", "3",
    "f", "S", "W", "R", "F", "M", "D", "equals_sign", "d", "o", "r", "e", "C", "H", "question_mark",
    "colon", "b", "b", "u", "X", "V", "f1", "f2", "f5",
    "f8", "f9", "A", "O", "Z", "K", "K", "ctrl+o", "ctrl+o", "ctrl+s",
    "ctrl+x", "ctrl+r", "ctrl+z", "ctrl+y", "ctrl+t", "ctrl+space", "ctrl+p",
)  # fmt: skip
"""Keys that do something somewhere; those that leave the app are not among them."""
_WORDS = ("hello", "failed", "!cancelled", "zzz", "webshop", "line 1", "E", "+90s", "14:05", "[", "main x", "name: a\n")
_SIZES = ((140, 45), (160, 48), (100, 30), (80, 24), (60, 20), (40, 10), (2, 2), (1, 1), (200, 60))
_NAMES = ("hello", "lint", "unit", "build", "shard (1)", "shard (2)", "shard (3)", "shard (4)", "deploy", "naïve ✓")
_MAX_RESTS = 20_000
"""Checks, at least a millisecond apart, at one of which all keys of a sequence must have been read."""
_PHASES = ("Pending", "Running", "Succeeded", "Failed", "Skipped", "Cancelled")


class ScriptedController(FakeController):
    """Answers after random delays, and now and then with an error; logs of running steps grow."""

    def __init__(self, runs: Iterable[Run], random: Random) -> None:
        super().__init__(runs)
        self.random = random
        self.grown = asyncio.Event()

    async def delay(self) -> None:
        await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.01, 0.03)))
        if self.random.random() < 0.05:
            raise ClientError("the controller does not answer")

    def grow(self, slug: str, count: int) -> None:
        """Add lines to a log."""
        lines = self.lines.setdefault(slug, [])
        kinds = (
            "line {} of {}: \x1b[31mERROR\x1b[0m 漢字",
            "line {} of {}",
            "::group::{} of {}",
            "::endgroup::",
            "--- {}",
        )
        lines += [self.random.choice(kinds).format(len(lines) + n, slug) for n in range(count)]
        self.grown.set()

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        await self.delay()
        async for block in super().log_blocks(run, step, attempt=attempt, container=container, timestamps=timestamps):
            yield block

    async def stream_logs(
        self,
        run: str,
        steps: Iterable[str] = (),
        after: Mapping[StreamKey, int] | None = None,
        *,
        partial_lines: bool = False,
    ) -> AsyncGenerator[Frame, None]:
        await self.delay()
        sent = {slug: (after or {}).get(StreamKey(slug, 1, "step"), 0) for slug in steps}
        while True:
            for slug, have in sent.items():
                lines = self.lines.get(slug, [])
                if lines[have:]:
                    yield Lines(StreamKey(slug, 1, "step"), have + 1, tuple(LogLine(None, t) for t in lines[have:]))
                    sent[slug] = len(lines)
                yield BacklogEnd(StreamKey(slug, 1, "step"))
                if partial_lines and self.random.random() < 0.5:
                    state = f"{self.random.randrange(100)}% of {slug}"
                    yield LinePart(StreamKey(slug, 1, "step"), sent[slug] + 1, LogLine(None, state))
            known = next((one for one in self.listed if one.name == run), None)
            if known is None or known.ended:
                break
            self.grown.clear()
            await self.grown.wait()
            await self.delay()
        for slug, have in sent.items():
            yield StreamEnd(StreamKey(slug, 1, "step"), have)
        yield RunEnd()

    async def artifacts(self, run: str, **options: Any) -> tuple[Any, ...]:
        await self.delay()
        return await super().artifacts(run, **options)

    async def rerun(self, name: str, **options: Any) -> Run:
        await self.delay()
        return await super().rerun(name, **options)

    async def set_breakpoints(self, name: str, breakpoints: Sequence[tuple[str, str]]) -> Run:
        await self.delay()
        return await super().set_breakpoints(name, breakpoints)

    async def continue_step(self, run: str, step: str, action: str = "go") -> None:
        await self.delay()
        await super().continue_step(run, step, action)

    async def run(self, name: str) -> Run:
        await self.delay()
        found = next((one for one in self.listed if one.name == name), None)
        if found is None:
            raise ClientError(f"there is no run {name}")
        return found

    async def cancel(self, name: str) -> Run:
        await self.delay()
        return await self.run(name)


def scene(folder: Path, random: Random) -> FakeWorkbench:
    """A workbench with several runs and a pipeline file in `folder`."""
    file = folder / ".c8s.yaml"
    file.write_text("name: shop\nsteps:\n- name: one\n  image: busybox\n  commands: [echo]\n")
    launcher = FakeLauncher(hello(8, "Running"), file)
    if random.random() < 0.5:
        launcher.pipeline = LintOutcome((), {"name": "shop", "params": [{"name": "WHO", "default": "me"}]})
    app = FakeWorkbench([], launcher=launcher, folder=folder)
    runs = [webshop(), hello(7), run("empty-1", "Succeeded", [step("hello", (), "Succeeded")])]
    controller = ScriptedController(runs, random)
    controller.lines = {"unit": ["one", "two", "three", "four"] * 20, "build-web": [f"line {n}" for n in range(400)]}
    controller.artifact_files = {"out/report.txt": b"all good"}
    controller.saved_pipelines = (SavedPipeline("nightly", {"name": "nightly", "steps": []}),)
    app.controller = controller
    return app


class RandomUser:
    """Acts on an app, which may have a controller that follows the script."""

    def __init__(self, app: App[Any], random: Random, controller: ScriptedController | None = None) -> None:
        self.app, self.random, self.controller = app, random, controller
        self.connection_error: Callable[[str | None], None] = getattr(app, "set_connection_error", lambda _: None)
        self.log: list[str] = []
        """What was done, to repeat it by hand."""

    async def play(self, count: int) -> None:
        """Do `count` random things, some at once and some with time in between."""
        for _ in range(count):
            if not self.app.is_running or self.app._exception is not None:
                return
            self.act()
            if self.random.random() < 0.5:
                await asyncio.sleep(self.random.choice((0, 0, 0.002, 0.005, 0.02)))

    async def rest(self) -> None:
        """Wait until all that was typed is read: what is left over would never be tried."""
        # Counted, not timed: a process that gets no processor does not hang.
        left, computed = _MAX_RESTS, time.process_time()
        while self.app.is_running and self.app._exception is None and self._has_unread_keys:
            if (left := left - 1) == 0:
                app, computed = self.app, time.process_time() - computed
                state = {name: getattr(app, name, None) for name in ("_in_flight", "_holds", "_typed", "_handled_by")}
                raise TimeoutError(
                    f"keys are not read, {computed:.1f} s of processor time after: "
                    f"{' '.join(self.log)}; {state} on {app.screen_stack}"
                )
            await asyncio.sleep(0.001)

    @property
    def _has_unread_keys(self) -> bool:
        app = self.app
        return isinstance(app, OrderedInput) and (bool(app._typed) or app._in_flight is not None)

    def act(self) -> None:
        """Do one random thing."""
        kinds: list[tuple[int, Callable[[], None]]] = [
            (60, self._key), (8, self._word), (3, self._paste), (10, self._mouse), (4, self._resize),
            (4, self._filter), (6, self._open_and_leave),
        ]  # fmt: skip
        if self.controller is not None:
            kinds += [(10, self._change_runs), (8, self._grow), (3, self._connection)]
        weights, actions = zip(*kinds, strict=True)
        self.random.choices(actions, weights)[0]()

    def press(self, key: str, character: str | None = None) -> None:
        self.log.append(key)
        event = events.Key(key, character if character is not None else key if len(key) == 1 else _CHARACTERS.get(key))
        event.set_sender(self.app)
        self.app.post_message(event)

    def _key(self) -> None:
        key = self.random.choice(_KEYS)
        for _ in range(self.random.choice((1, 1, 1, 2, 5))):
            self.press(key)

    def _word(self) -> None:
        for character in self.random.choice(_WORDS):
            name = {" ": "space", "!": "exclamation_mark", "[": "left_square_bracket", "+": "plus", ":": "colon",
                    "\n": "enter"}.get(character, character)  # fmt: skip
            self.press(name, None if character == "\n" else character)

    def _filter(self) -> None:
        """Narrow a list or a log, and widen it again."""
        self.press("slash")
        self._word()
        if self.random.random() < 0.5:
            self.press("ctrl+u")

    def _open_and_leave(self) -> None:
        """Open what is under the cursor while its log grows, and leave it again."""
        for key in ("escape", "enter", "escape"):
            self.press(key)
            if self.controller is not None:
                self._grow()

    def _paste(self) -> None:
        text = self.random.choice(_WORDS)
        self.log.append(f"paste {text!r}")
        self.app.post_message(events.Paste(text))

    def _mouse(self) -> None:
        width, height = self.app.size
        x, y = self.random.randrange(max(width, 1)), self.random.randrange(max(height, 1))
        kind = self.random.choice(("click", "click", "double", "scroll", "drag"))
        self.log.append(f"{kind} {x},{y}")
        if kind == "scroll":
            self.app.post_message(_mouse(self.random.choice((events.MouseScrollUp, events.MouseScrollDown)), x, y, 0))
            return
        for _ in range(2 if kind == "double" else 1):
            self.app.post_message(_mouse(events.MouseDown, x, y, 1))
            if kind == "drag":
                x, y = self.random.randrange(max(width, 1)), self.random.randrange(max(height, 1))
                self.app.post_message(_mouse(events.MouseMove, x, y, 1))
            self.app.post_message(_mouse(events.MouseUp, x, y, 1))

    def _resize(self) -> None:
        size = Size(*self.random.choice(_SIZES))
        self.log.append(f"resize {size.width}x{size.height}")
        self.resize(size)

    def resize(self, size: Size) -> None:
        driver = self.app._driver
        assert driver is not None
        driver._size = size  # type: ignore[attr-defined]
        self.app.post_message(events.Resize(size, size))

    def _grow(self) -> None:
        assert self.controller is not None
        slug = self.random.choice(("build-web", "unit", "greet", "hello", *_NAMES))
        self.controller.grow(slug, self.random.choice((1, 3, 200)))

    def _connection(self) -> None:
        self.connection_error(self.random.choice((None, None, "no connection to http://127.0.0.1:1")))
        if self.random.random() < 0.2 and self.controller is not None:
            self.controller.changes.put_nowait(ClientError("the stream has ended"))

    def _change_runs(self) -> None:
        assert self.controller is not None
        random, controller = self.random, self.controller
        known = {one.name: one for one in controller.listed}
        kind = random.choice(("new", "phase", "phase", "steps", "delete", "list"))
        if kind == "delete" and len(known) > 1:
            gone = known.pop(random.choice(sorted(known)))
            controller.listed = tuple(known.values())
            controller.changes.put_nowait(RunDeleted(gone))
        elif kind == "list":
            controller.changes.put_nowait(RunsListed(controller.listed))
        else:
            changed = self._changed(known, kind)
            controller.listed = tuple((known | {changed.name: changed}).values())
            controller.changes.put_nowait(RunChanged(changed))
        self.log.append(f"runs: {kind}")

    def _changed(self, known: Mapping[str, Run], kind: str) -> Run:
        """A new run, or a run with other phases or other steps."""
        random = self.random
        if kind == "new" or not known:
            name = f"{random.choice(('hello', 'webshop', 'empty'))}-{random.randrange(1, 30)}"
            return run(name, random.choice(_PHASES), self._steps(), created_ago=random.randrange(1, 9000))
        old = known[random.choice(sorted(known))]
        phase = random.choice(_PHASES)
        if kind == "steps":
            return replace(run(old.name, phase, self._steps()), resource_version=str(random.randrange(10_000)))
        steps = [
            step(
                each.name, each.depends_on, random.choice(_PHASES), message="because", attempts=random.choice((1, 1, 3))
            )
            for each in old.steps
        ]
        return replace(run(old.name, phase, steps), resource_version=str(random.randrange(10_000)))

    def _steps(self) -> list[Step]:
        names = self.random.sample(_NAMES, self.random.randrange(0, len(_NAMES)))
        steps: list[Step] = []
        for at, name in enumerate(names):
            before = tuple(self.random.sample(names[:at], min(at, self.random.randrange(0, 3))))
            containers = self.random.choice((("step",), ("step", "agent", "svc-db")))
            steps.append(step(name, before, self.random.choice(_PHASES), containers=containers))
        return steps


_CHARACTERS = {
    "space": " ", "slash": "/", "ampersand": "&", "plus": "+", "minus": "-", "number_sign": "#", "question_mark": "?",
    "equals_sign": "=", "right_square_bracket": "]", "left_square_bracket": "[", "tab": "\t", "enter": "\r",
}  # fmt: skip


def _mouse(kind: type[events.MouseEvent], x: int, y: int, button: int) -> events.MouseEvent:
    return kind(None, x, y, 0, 0, button, False, False, False, screen_x=x, screen_y=y)


async def play_sequences(
    folder: Path,
    seed: int | str,
    *,
    sequences: int = 1,
    length: int = 40,
    on_end: Callable[[RandomUser], None] = lambda _: None,
) -> None:
    """Play sequences on one app, each from where the last one ended. Raises what the app could not handle."""
    random = Random(seed)
    app = scene(folder, random)
    controller = app.controller
    assert isinstance(controller, ScriptedController)
    async with app.run_test(size=(140, 45), notifications=True) as pilot:
        await pilot.pause()
        for _ in range(sequences):
            user = RandomUser(app, random, controller)
            await user.play(length)
            await user.rest()
            on_end(user)
            if not app.is_running or app._exception is not None:
                print(f"seed {seed}: {' '.join(user.log)}")
                break
        await pilot.pause()
