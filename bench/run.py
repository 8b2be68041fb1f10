"""Runs every measurement, one after the other: `.venv/bin/python bench/run.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    failed = []
    folder = Path(__file__).parent
    for script in sorted(folder.rglob("*.py")):
        name = script.relative_to(folder).as_posix()
        if name == "run.py" or '__name__ == "__main__"' not in script.read_text():
            continue
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, str(script)], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"these did not finish: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
