"""Makefiles, for repositories whose language has no detector of its own."""

from __future__ import annotations

import re

from workbench.scaffold.files import Folder
from workbench.scaffold.plan import PlannedStep, Project

MANIFESTS = ("GNUmakefile", "makefile", "Makefile")
_TARGET = re.compile(r"^([A-Za-z0-9][A-Za-z0-9_.-]*(?:[ \t]+[A-Za-z0-9][A-Za-z0-9_.-]*)*)[ \t]*::?(?!=)", re.MULTILINE)
_LINT = ("lint", "format-check", "fmt-check", "vet")
_BUILD = ("build", "all")
_TEST = ("test", "tests", "check")


def detect(folder: Folder) -> Project | None:
    """The steps for the targets of a Makefile, or None without one."""
    manifest = folder.first(*MANIFESTS)
    if manifest is None:
        return None
    found = targets(folder.text(manifest))
    image = (
        "gcc:14" if any(folder.matching(f"*.{suffix}") for suffix in ("c", "cc", "cpp")) else "buildpack-deps:bookworm"
    )
    steps = [
        PlannedStep(name, image, (f"make {target}",), f"`{target}` of the {manifest}.")
        for name, target in (
            ("lint", next((each for each in _LINT if each in found), None)),
            ("build", next((each for each in _BUILD if each in found), None)),
            ("test", next((each for each in _TEST if each in found), None)),
        )
        if target is not None
    ]
    if not steps:
        steps = [PlannedStep("make", image, ("make",), f"The default target of the {manifest}.")]
    notes = ("the image has compilers and make; name another one if the targets need more",)
    named = ", ".join(step.commands[0] for step in steps)
    return Project("Make", folder.path, f"Makefile, {named}", (manifest,), tuple(steps), notes)


def covers(folder: Folder) -> bool:
    """A Makefile is taken for everything below it."""
    return True


def targets(text: str) -> frozenset[str]:
    """The names of the targets in a Makefile."""
    return frozenset(name for line in _TARGET.findall(text) for name in line.split())
