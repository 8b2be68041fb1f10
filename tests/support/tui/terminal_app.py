"""The workbench on a fake controller as a program, for tests in a real terminal.

`python -m tests.support.tui.terminal_app` shows a run whose log contains control sequences.
`python -m tests.support.tui.terminal_app FILE` opens the workbench on that pipeline with the preferences
of the test's user; f12 makes it crash.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello, run, step
from workbench.tui.startup import exit_code, load_options, run_until_exit

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
    """In place of a shell: a program that uses the terminal."""
    return ["sh", "-c", f"echo in {name} {slug} {container}; printf 'type something: '; read line"]


def fail(app: FakeWorkbench) -> None:
    """Fail in a way that no boundary contains."""
    app._handle_exception(RuntimeError("a failure of this test \x1b]2;PWNED-TITLE\x07"))


def main() -> int:
    if len(sys.argv) > 1:
        app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, Path(sys.argv[1])), options=load_options())
        app.bind("f12", "fail")
        app.action_fail = partial(fail, app)  # type: ignore[attr-defined]
    else:
        made = run("hostile-1", "Running", [step("print", (), "Running")])
        app = FakeWorkbench([made], open_run=made.name, shell=ask)
        app.controller.lines["print"] = HOSTILE
    run_until_exit(app)
    return exit_code(app)


if __name__ == "__main__":
    sys.exit(main())
