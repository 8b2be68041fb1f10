"""The workbench on a fake controller in a real terminal, for tests that drive one: `python -m tests.tui.stage`."""

from __future__ import annotations

import sys

from tests.tui.fakes import Scene, run, step

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


def main() -> int:
    made = run("hostile-1", "Running", [step("print", (), "Running")])
    scene = Scene([made], open_run=made.name, shell=ask)
    scene.controller.lines["print"] = HOSTILE
    scene.app.run()
    return scene.app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
