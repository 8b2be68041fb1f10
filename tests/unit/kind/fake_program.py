"""A fake of `kind` and `docker` that replays recordings of real ones and fails for any other command.

It runs as a program of that name. The environment variable PLAYS lists the recordings to use, in this order if several
match; each is replayed at most once.
"""

import json
import os
import sys
import time
from pathlib import Path

UNKNOWN = 97


def main() -> int:
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    if "--config" in command:
        index = command.index("--config") + 1
        json.loads(Path(command[index]).read_text())
        command[index] = "<config>"
    recorded = {each["name"]: each for each in json.loads(Path(os.environ["RECORDED"]).read_text())}
    played = Path(os.environ["PLAYED"])
    used = played.read_text().split() if played.exists() else []
    for name in os.environ["PLAYS"].split(","):
        entry = recorded[name]
        expected = ["<config>" if word in ("c.yaml", "bad.yaml") else word for word in entry["command"]]
        if expected == command and name not in used:
            played.write_text(" ".join([*used, name]))
            return play(entry)
    print(f"there is no recording of: {' '.join(command)}", file=sys.stderr)
    return UNKNOWN


def play(entry: dict) -> int:  # type: ignore[type-arg]
    pace = float(os.environ.get("PACE", "0"))
    started = time.monotonic()
    for at, stream, text in entry["lines"]:
        time.sleep(max(0.0, at * pace - (time.monotonic() - started)))
        print(text, file=sys.stdout if stream == "out" else sys.stderr, flush=True)
    return int(entry["exit"])


if __name__ == "__main__":
    sys.exit(main())
