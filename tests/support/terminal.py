"""A command in a terminal of its own, whose output is read as it comes."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

from tests.live import C8s
from tests.support.waiting import LONGEST


@dataclass
class Terminal:
    """A command in a terminal, and what it has written."""

    descriptor: int
    process: subprocess.Popen[bytes]
    written: bytearray = field(default_factory=bytearray)

    def read_until(self, text: bytes | None, seconds: float = LONGEST) -> None:
        """Read until the text has been written, or to the end."""
        until = time.monotonic() + seconds
        while text is None or text not in self.written:
            assert time.monotonic() < until, bytes(self.written[-500:])
            if select.select([self.descriptor], [], [], 0.1)[0]:
                try:
                    data = os.read(self.descriptor, 4096)
                except OSError:
                    data = b""
                if not data:
                    assert text is None, bytes(self.written[-500:])
                    return
                self.written += data

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())


@contextmanager
def terminal(c8s: C8s, *arguments: str, cwd: Path) -> Iterator[Terminal]:
    """Run a command of c8s in a terminal of 80x24; it must end by itself."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = c8s.environment({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"})
    process = subprocess.Popen(
        c8s.command(*arguments), cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
        process.wait(LONGEST)
    finally:
        process.kill()
        process.wait(LONGEST)
        os.close(ours)
