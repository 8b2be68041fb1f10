"""The workbench on a fake controller in a real terminal, for tests that drive one: `python -m tests.tui.stage [FILE]`.

With a FILE it is the workbench of that pipeline, with the likings of the (test's) user; ctrl+o fails there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.tui.fakes import FakeLauncher, Scene, hello, run, step
from workbench.tui.base_app import load_options
from workbench.tui.crash import exit_code
from workbench.tui.crash import run as run_to_the_end
from workbench.tui.services.interfaces import LaunchResult

HOSTILE = [
    "before",
    "\x1b]2;PWNED-TITLE\x1b\\title",
    "\x1b]52;c;UFdORUQtQ0xJUA==\x07clipboard",
    "\x1b[2J\x1b[H\x9b2Jcleared",
    "\x1b[?1049l\x1bcreset",
    "\x1b[31mred\x1b[0m",
    "10%\r20%\r100%",
    "after",
]


def ask(name: str, slug: str, container: str) -> list[str]:
    """In place of a shell: a program that wants the terminal."""
    return ["sh", "-c", f"echo in {name} {slug} {container}; printf 'type something: '; read line"]


def fail() -> None:
    raise RuntimeError("a fault on the stage \x1b]2;PWNED-TITLE\x07")


def main() -> int:
    if len(sys.argv) > 1:
        scene = Scene([hello(7)], launcher=FakeLauncher(LaunchResult(None), Path(sys.argv[1])), options=load_options())
        scene.app.bind("ctrl+o", "fail")
        scene.app.action_fail = fail  # type: ignore[attr-defined]
    else:
        made = run("hostile-1", "Running", [step("print", (), "Running")])
        scene = Scene([made], open_run=made.name, shell=ask)
        scene.controller.lines["print"] = HOSTILE
    run_to_the_end(scene.app)
    return exit_code(scene.app)


if __name__ == "__main__":
    sys.exit(main())
