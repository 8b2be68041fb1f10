"""Plays random sequences of keys, pastes, mouse events, resizes, changes of runs and disconnections against the app.

Time is virtual, so that a seed repeats its sequence, however busy the machine is. Some seeds that follow each other
share an app, from which the first screen, what is behind it and its size are restored between them.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from textual import events
from textual.geometry import Size

from tests.support.tui.fakes import run, step
from tests.support.tui.random_apps import make_scene
from tests.support.tui.random_scene import (
    PIPELINE,
    Scene,
    ScriptedController,
    ScriptedSaves,
    reset_scene,
    sample_bundle,
)
from tests.support.tui.virtual_time import run_virtual
from workbench.client import Run, RunChanged, RunDeleted, RunsListed, Step
from workbench.client.errors import ClientError
from workbench.tui.app import Workbench
from workbench.tui.keybindings import bound_actions
from workbench.tui.ordered_input import OrderedInput

_OFTEN = (
    *("enter",) * 8, *("escape",) * 8, *("tab",) * 3, *("up", "down", "left", "right") * 2, *("slash",) * 3,
    "home", "end", "pageup", "pagedown", "space", "backspace", "b", "K", "ctrl+o", "shift+tab", "ctrl+p", "f1",
)  # fmt: skip
"""Keys that are pressed more often than others."""
_LEAVING = frozenset(("q", "ctrl+q", "ctrl+c"))
"""Keys that leave the app in most places."""
_SCREENS = (
    "T", "less_than_sign", "K", "P", "H", "C", "d", "equals_sign", "e", "W", "I", "question_mark", "ctrl+p", "r", "M",
)  # fmt: skip
"""Keys that open a screen, a card or a dialog."""
_WORDS = ("hello", "failed", "!cancelled", "zzz", "webshop", "line 1", "E", "+90s", "14:05", "[", "main x", "name: a\n")
_SIZES = ((140, 45), (160, 48), (100, 30), (80, 24), (60, 20), (40, 10), (2, 2), (1, 1), (200, 60))
_NAMES = ("hello", "lint", "unit", "build", "shard (1)", "shard (2)", "shard (3)", "shard (4)", "deploy", "naïve ✓")
GROUP = 5
"""Sequences that share an app: those of the seeds from a multiple of it to the next one."""
_SIZE = Size(140, 45)
_MAX_READING = 10.0
"""Seconds after the last key within which all keys have been read; the app waits up to 3 s for a dialog, some times."""
_MAX_ESCAPES = 25
"""Presses of Escape that lead to the first screen from anywhere."""
_PHASES = ("Pending", "Running", "Succeeded", "Failed", "Skipped", "Cancelled")


def _keys() -> tuple[str, ...]:
    """All keys that are bound anywhere, some of them several times."""
    bound = {key for action in bound_actions() for key in action.keys}
    return (*_OFTEN, *sorted(bound - _LEAVING))


_KEYS = _keys()


class RandomUser:
    """Acts on an app, which may have a controller that follows the script."""

    def __init__(self, scene: Scene, random: Random, clock: Callable[[], float] | None = None) -> None:
        """`clock`: what the app has to read keys in time by, in seconds; by default that of the loop."""
        self.app, self.random, self._clock = scene.app, random, clock
        self.controller: ScriptedController | None = scene.controller
        self.saves: ScriptedSaves | None = scene.saves
        self.connection_error: Callable[[str | None], None] = getattr(self.app, "set_connection_error", lambda _: None)
        self.log: list[str] = []
        """What was done, to repeat it by hand."""
        self.seen: set[str] = set()
        """The classes of the screens on which something was done."""

    @property
    def goes_on(self) -> bool:
        """Whether the app has not ended."""
        return self.app.is_running and self.app._exception is None

    async def play(self, count: int) -> None:
        """Do `count` random things, some at once and some with time in between."""
        for _ in range(count):
            if not self.goes_on:
                return
            self.act()
            if self.random.random() < 0.5:
                await asyncio.sleep(self.random.choice((0, 0, 0.002, 0.005, 0.02, 0.1)))
            elif self.random.random() < 0.04:
                # Long enough for toasts, polls and retries.
                await asyncio.sleep(self.random.choice((1, 4, 16)))

    async def rest(self) -> None:
        """Wait until all that was typed is read: what is left over would never be tried."""
        clock = self._clock or asyncio.get_running_loop().time
        until = clock() + _MAX_READING
        while self.goes_on and self._has_unread_keys:
            if clock() > until:
                app = self.app
                state = {name: getattr(app, name, None) for name in ("_in_flight", "_holds", "_typed", "_handled_by")}
                raise AssertionError(f"keys are not read: {state} on {app.screen_stack}")
            await asyncio.sleep(0.001)

    async def leave(self) -> None:
        """Go back to the first screen by Escape alone."""
        first = 2 if isinstance(self.app, Workbench) else 1
        for _ in range(_MAX_ESCAPES):
            if not self.goes_on or len(self.app.screen_stack) <= first:
                return
            self.press("escape")
            await self.rest()
            # Some screens open or close when a worker has answered.
            await asyncio.sleep(0.05)
        raise AssertionError(f"Escape does not lead back from {self.app.screen_stack}")

    @property
    def _has_unread_keys(self) -> bool:
        app = self.app
        return isinstance(app, OrderedInput) and (bool(app._typed) or app._in_flight is not None)

    def act(self) -> None:
        """Do one random thing."""
        self.seen |= {type(self.app.screen).__name__} if self.app.screen_stack else set()
        kinds: list[tuple[int, Callable[[], None]]] = [
            (55, self._key), (8, self._word), (3, self._paste), (10, self._mouse), (4, self._resize),
            (4, self._filter), (6, self._open_and_leave), (8, self._open_screen), (1, self._change_focus),
        ]  # fmt: skip
        if self.controller is not None:
            kinds += [(10, self._change_runs), (8, self._grow), (3, self._connection)]
        if self.saves is not None:
            kinds += [(2, self._save_file)]
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

    def _open_screen(self) -> None:
        """Open a screen by its key and move in it."""
        self.press(self.random.choice(_SCREENS))
        for _ in range(self.random.choice((0, 1, 2))):
            self._key()

    def _change_focus(self) -> None:
        """Go to another window, or come back."""
        kind = self.random.choice((events.AppBlur, events.AppFocus))
        self.log.append(kind.__name__)
        self.app.post_message(kind())

    def _save_file(self) -> None:
        """Save a file in the folder, with another program."""
        assert self.saves is not None
        file = Path.cwd() / ".c8s.yaml"
        kind = self.random.choice(("write", "break", "delete"))
        if kind == "delete":
            file.unlink(missing_ok=True)
        else:
            file.write_text(PIPELINE if kind == "write" else "steps: [")
        self.log.append(f"file: {kind}")
        self.saves.queue.put_nowait(frozenset((".c8s.yaml",)))

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


class SequenceError(Exception):
    """A sequence found something; its cause is the failure. `seeds` are those that its app has played."""

    def __init__(self, seeds: Sequence[int], user: RandomUser) -> None:
        super().__init__(f"played {', '.join(map(str, seeds))}, the last with: {' '.join(user.log)}")
        self.seeds = seeds


@contextmanager
def own_folder() -> Iterator[Path]:
    """Work in a new folder, in which the workbench also keeps what it saves."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="c8s-random-") as name:
        folder = Path(name)
        for kind in ("STATE", "DATA", "CONFIG", "CACHE"):
            os.environ[f"XDG_{kind}_HOME"] = str(folder / kind.lower())
        os.environ["XDG_DOWNLOAD_DIR"] = str(folder / "downloads")
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def play_sequences(
    seeds: Sequence[int],
    length: int = 40,
    on_end: Callable[[RandomUser], None] = lambda _: None,
    scene: str | None = None,
) -> None:
    """Play sequences of one group in virtual time, on the scene with this name or on any. Raises SequenceError.

    Args:
        on_end: gets the user of each sequence.
    """
    sample_bundle()
    with own_folder() as folder:
        run_virtual(_play(folder, deque(seeds), length, on_end, scene))


async def _play(
    folder: Path, seeds: deque[int], length: int, on_end: Callable[[RandomUser], None], scene: str | None
) -> None:
    while seeds:
        # A new app also after one that was left, as by a command of the palette.
        await _play_on(make_scene(folder, Random(f"scene {seeds[0] // GROUP}"), scene), seeds, length, on_end)


async def play_on_scene(scene: Scene, seed: int, length: int) -> RandomUser:
    """Play a sequence on a scene and leave it; the user knows what it was. Raises SequenceError."""
    users: list[RandomUser] = []
    await _play_on(scene, deque([seed]), length, users.append)
    return users[0]


async def _play_on(scene: Scene, seeds: deque[int], length: int, on_end: Callable[[RandomUser], None]) -> None:
    """Play the seeds, and take them from the queue, as long as the app goes on."""
    played, user = list[int](), RandomUser(scene, Random())
    try:
        async with scene.app.run_test(size=(_SIZE.width, _SIZE.height), notifications=True):
            while seeds and user.goes_on:
                played.append(seeds.popleft())
                reset_scene(scene, played[-1])
                user = RandomUser(scene, Random(played[-1]))
                user.resize(_SIZE)
                user.connection_error(None)
                await user.play(length)
                await user.rest()
                await user.leave()
                on_end(user)
    except Exception as error:
        raise SequenceError(played, user) from error
    finally:
        scene.close()
