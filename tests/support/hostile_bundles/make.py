"""Makes a hostile bundle from a seed: a good one with one to four changes, and sometimes with other bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.support.bundles import export_sample
from tests.support.hostile_bundles import content, structure
from tests.support.hostile_bundles.archive import Draft, Entry, pack

VERSIONS = Path(__file__).parents[2] / "unit/workbench/bundle/versions"

_CHANGES: tuple[tuple[int, Callable[[Draft], None]], ...] = (
    (40, content.change_value),
    (8, content.change_key),
    (8, content.change_steps),
    (4, content.change_document),
    (6, content.change_manifest),
    (14, content.change_log),
    (4, content.change_file),
    (8, structure.change_headers),
    (2, structure.change_overlap),
    (1, structure.change_bomb),
    (4, structure.change_names),
    (4, structure.change_missing),
    (4, structure.change_around),
)


def hostile_bundle(seed: int, bases: list[list[Entry]]) -> tuple[bytes, tuple[str, ...]]:
    """A file, and the names of what was changed."""
    random = Random(f"bundle {seed}")
    draft = Draft(random, list(random.choice(bases)))
    weights, changes = zip(*_CHANGES, strict=True)
    for change in random.choices(changes, weights, k=random.choice((1, 1, 2, 2, 3, 4))):
        change(draft)
        draft.done += (change.__name__.removeprefix("change_"),)
    made = bytearray(pack(draft.entries, before=draft.before, behind=draft.behind, end=draft.end))
    if random.random() < 0.1:
        draft.done += ("bytes",)
        for _ in range(random.choice((1, 3, 20))):
            made[random.randrange(len(made))] = random.randrange(256)
        if random.random() < 0.3:
            del made[random.randrange(len(made)) :]
    return bytes(made), draft.done


def base_bundles(folder: Path) -> list[list[Entry]]:
    """The good bundles that hostile ones are made from. To be called before there is an event loop."""
    export_sample(folder / "good.c8srun")
    found = []
    for path in (folder / "good.c8srun", *sorted(VERSIONS.glob("*.c8srun"))):
        with zipfile.ZipFile(path) as archive:
            found.append([Entry(name.encode(), archive.read(name)) for name in archive.namelist()])
    (folder / "good.c8srun").unlink()
    return found
