"""Opens a hostile bundle in every way there is: all that the workbench reads, the page, a recording, and its screens.

Each way shows it or refuses it with a message. Screens are used by random keys in virtual time.
"""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.bundles import read_bundle
from tests.support.hostile_bundles.archive import Entry
from tests.support.hostile_bundles.make import hostile_bundle
from tests.support.tui.random_scene import RandomWorkbench, Scene
from tests.support.tui.random_use import RandomUser, own_folder, play_on_scene
from tests.support.tui.virtual_time import run_virtual
from workbench.bundle.controller import BundleController
from workbench.client.errors import ClientError
from workbench.tui.recording import record

_OWN = frozenset(("state", "data", "config", "cache", "downloads", "a.c8srun", "artifact", ".c8s.yaml"))
"""What may be in the folder afterwards: also a pipeline that a random key has saved in the editor."""
_LONGEST_MESSAGE = 700


@dataclass
class Outcome:
    """What became of a file."""

    changes: tuple[str, ...]
    refused: str | None = None
    """Why it was refused at once; None if it was shown."""
    seconds: float = 0.0
    """Processor time of all ways."""
    peak: int = 0
    """The most memory that the process has had so far, in bytes."""
    screens: set[str] = field(default_factory=set)


def use_hostile_bundle(seed: int, bases: list[list[Entry]], length: int = 20) -> Outcome:
    """Open the file of a seed in every way. Raises what is not a refusal in words."""
    content, changes = hostile_bundle(seed, bases)
    outcome, started = Outcome(changes), time.process_time()
    with own_folder() as folder:
        path = folder / "a.c8srun"
        path.write_bytes(content)
        try:
            _use(path, seed, length, outcome)
        except ClientError as error:
            outcome.refused = str(error)
            _check_message(outcome.refused)
        left = {each.name for each in folder.iterdir()} - _OWN
        assert not left, f"something was written: {left}"
    outcome.seconds = time.process_time() - started
    outcome.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return outcome


def _use(path: Path, seed: int, length: int, outcome: Outcome) -> None:
    run_virtual(read_bundle(path, path.parent))
    with BundleController(path) as bundle:
        app = RandomWorkbench([], folder=path.parent, open_run=bundle.only_run.name)
        app.controller = bundle  # type: ignore[assignment]
        user: RandomUser = run_virtual(play_on_scene(Scene(app), seed, length))
        outcome.screens = user.seen
    if Random(f"cast {seed}").random() < 0.05:
        _record(path)


def _record(path: Path) -> None:
    async def play() -> None:
        with BundleController(path) as bundle:
            await record(bundle, (100, 30))

    try:
        asyncio.run(play())
    except ClientError as error:
        text = str(error)
    else:
        return
    _check_message(text)
    assert "can't be shown" not in text, text


def _check_message(text: str) -> None:
    assert text, "an empty message"
    assert len(text) < _LONGEST_MESSAGE, text
