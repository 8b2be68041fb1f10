"""How fast a sandbox is ready, beside importing everything that its two processes use, one after the other.

    .venv/bin/python bench/startup.py [--rounds 5] [--base FOLDER]

The measurements alternate, so that other work on the machine slows all of them. `--base` takes the imports of another
checkout with a `.venv` instead, such as that of an earlier version.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

from machine import describe, spread

CLUSTER = "import embedded.main"
CONTROLLER = (
    "import controller.runtime.manager\n"
    "from controller.runtime.deferred_imports import import_all\n"
    "from controller.runtime.late_modules import LATE_MODULES\n"
    "import_all(LATE_MODULES)"
)
# The names in other versions, the newest first.
EARLIER_CONTROLLERS = (
    "import controller.runtime.manager as m; m.import_modules(m.LATE_MODULES)",
    "import controller.manager as m; m.import_modules(m.LATE_MODULES)",
    "import controller.manager",
    "import controller.process",
)
PIPELINE = 'version: v1alpha1\nname: one\nsteps: [{name: one, image: "busybox:1.36", commands: ["true"]}]\n'


class Startup:
    """The commands that are measured, on a state folder of their own."""

    def __init__(self, folder: Path, base: Path | None) -> None:
        self._folder = folder
        # Without compiled modules, imports take half as long again.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self._env = {
            **os.environ,
            "C8S_RUNTIME": "process",
            **{f"XDG_{kind}_HOME": str(folder / kind) for kind in ("STATE", "CONFIG", "CACHE")},
        }
        self._base = [str(base / ".venv" / "bin" / "python")] if base else [sys.executable]
        self._c8s = [sys.executable, "-P", "-m", "workbench"]
        self.controller = CONTROLLER if base is None else self._first_that_exists(EARLIER_CONTROLLERS)
        (folder / "one.yaml").write_text(PIPELINE)

    def import_cluster(self) -> float:
        return self._time([*self._base, "-P", "-c", CLUSTER])

    def import_controller(self) -> float:
        return self._time([*self._base, "-P", "-c", self.controller])

    def up(self) -> float:
        """`c8s up` of a sandbox that was stopped."""
        self.down()
        return self._time([*self._c8s, "up"])

    def up_new(self) -> float:
        """`c8s up` of a sandbox that never existed: with certificates, a database and its roles."""
        self.down("--delete")
        return self._time([*self._c8s, "up"])

    def run_cold(self) -> float:
        """`c8s run` of one step, with the start of the sandbox and its end."""
        self.down()
        return self._time([*self._c8s, "run", "one.yaml", "--no-source"])

    def lint(self) -> float:
        return self._time([*self._c8s, "lint", "one.yaml"])

    def down(self, *flags: str) -> None:
        subprocess.run([*self._c8s, "down", *flags], cwd=self._folder, env=self._env, check=True, capture_output=True)

    def _time(self, command: list[str]) -> float:
        began = perf_counter()
        subprocess.run(command, cwd=self._folder, env=self._env, check=True, capture_output=True)
        return perf_counter() - began

    def _first_that_exists(self, imports: tuple[str, ...]) -> str:
        for each in imports:
            if subprocess.run([*self._base, "-P", "-c", each], capture_output=True, check=False).returncode == 0:
                return each
        raise SystemExit(f"{self._base[0]} imports none of: {', '.join(imports)}")


def measure(startup: Startup, rounds: int) -> Mapping[str, list[float]]:
    """Seconds of each measurement, after a round that is not counted."""
    measures: dict[str, Callable[[], float]] = {
        "importing what the cluster uses": startup.import_cluster,
        "importing what the controller uses": startup.import_controller,
        "`c8s up` to ready": startup.up,
        "`c8s up` of a new sandbox": startup.up_new,
        "`c8s run` of one step, cold": startup.run_cold,
        "`c8s lint` of a small file": startup.lint,
    }
    times: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, call in measures.items():
            seconds = call()
            if number:
                times[name].append(seconds)
    startup.down()
    return times


def report(times: Mapping[str, list[float]]) -> None:
    """Print the times, and the ratio of a start to both imports, by the fastest of each and by the medians."""
    for name, seconds in times.items():
        print(f"  {name:36} {spread(seconds)}")
    cluster, controller, ready, *_ = times.values()
    ratios = [of(ready) / (of(cluster) + of(controller)) for of in (min, median)]
    print(f"  ready, relative to both imports      {ratios[0]:.2f} (fastest), {ratios[1]:.2f} (median); goal 0.6")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--base", type=Path, help="checkout whose imports are the measure")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as home:
        print(f"startup: {describe()}; median (min to max) of {args.rounds}")
        startup = Startup(Path(home), args.base)
        try:
            report(measure(startup, args.rounds))
        finally:
            startup.down()


if __name__ == "__main__":
    main()
