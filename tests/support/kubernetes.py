"""A process of the embedded Kubernetes for tests, started by its command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import LONGEST

TOKEN = "test-admin-token"


@dataclass(frozen=True)
class ClusterProcess:
    """A running `python -m embedded`."""

    url: str
    pid: int
    token: str = TOKEN


@contextmanager
def run_cluster(
    folder: Path, *options: str, extra_tokens: str = "", python: str = sys.executable
) -> Iterator[ClusterProcess]:
    """`python -m embedded` on a free port, stopped as a supervisor stops it; stderr goes to `folder/log`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{TOKEN},admin,admin,"system:masters"\n{extra_tokens}')
    command = [python, "-m", "embedded", "--data-dir", str(folder / "data"), "--port", "0"]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(
            [*command, "--token-auth-file", str(tokens), *options], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("serving "), (folder / "log").read_text()
            yield ClusterProcess(line.split()[1], process.pid)
        finally:
            process.terminate()
            process.wait(LONGEST)
