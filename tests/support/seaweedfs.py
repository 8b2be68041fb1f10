"""A real S3 server (SeaweedFS) as a process that tests may kill and start again."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.tools import find_tool, free_ports
from tests.support.waiting import LONGEST, wait_until

ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"
PROGRAM = "weed"
_PARTS = ("master", "volume", "filer", "s3")


@dataclass
class SeaweedServer:
    """A server with its data below `folder`. It keeps data and address when it is killed and started again.

    Its master is a process of its own, which goes on meanwhile: a new one elects itself for seconds, and a volume
    server that asks it too early waits five more.
    """

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    master: subprocess.Popen[bytes] | None = None
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.ports["s3.port"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The credentials, in the variables that the controller reads."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def start(self) -> None:
        """Start it, and return once it answers and has a volume to write to."""
        if self.master is None:
            self._start_master()
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        identity = {"name": "c8s", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        master = f"127.0.0.1:{self.ports['master.port']}.{self.ports['master.port.grpc']}"
        arguments = ["-master=false", f"-master.peers={master}", "-filer", "-s3", f"-dir={self.folder / 'data'}"]
        arguments += [f"-{name}={port}" for name, port in self.ports.items() if not name.startswith("master")]
        # These two have fixed ports otherwise, of which a second server on this machine finds the first.
        arguments += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        arguments += ["-s3.iam=false", f"-s3.config={self.folder / 's3.json'}", "-volume.max=50"]
        self.process = self._run("server", arguments)
        wait_until(self._answers, what="the S3 server answers", interval=0.05)

    def kill(self) -> None:
        """Kill it, as a failure of its machine would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(LONGEST)
        # It creates these beside its ports, and a killed one does not delete them.
        for port in self.ports.values():
            for path in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End it for good."""
        if self.process is not None:
            self.kill()
        if self.master is not None:
            self.master.kill()
            self.master.wait(LONGEST)

    def _start_master(self) -> None:
        names = [f"{part}.port{kind}" for part in _PARTS for kind in ("", ".grpc")]
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        (self.folder / "data").mkdir()
        arguments = [f"-mdir={self.folder / 'data'}", "-telemetry=false", "-volumeSizeLimitMB=64"]
        arguments += [f"-port={self.ports['master.port']}", f"-port.grpc={self.ports['master.port.grpc']}"]
        # It is the only one, and need not wait ten seconds for others.
        arguments += ["-electionTimeout=100ms", "-heartbeatInterval=20ms"]
        self.master = self._run("master", arguments)
        wait_until(self._has_leader, what="the master leads", interval=0.05)

    def _run(self, part: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        program = find_tool(PROGRAM)
        assert program is not None
        command = [program, part, "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *arguments]
        with (self.folder / "server.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _has_leader(self) -> bool:
        assert self.master is not None
        self._check_runs(self.master)
        with contextlib.suppress(OSError):
            return bool(self._ask_master("/cluster/status").get("IsLeader"))
        return False

    def _answers(self) -> bool:
        assert self.process is not None
        self._check_runs(self.process)
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(self.url, timeout=10)
            except urllib.error.HTTPError:
                # Without credentials it refuses, once it runs.
                return "fid" in self._ask_master("/dir/assign")
        return False

    def _check_runs(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            raise AssertionError("the S3 server ended:\n" + (self.folder / "server.log").read_text()[-2000:])

    def _ask_master(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['master.port']}{path}", timeout=10) as answer:
            found: dict[str, object] = json.load(answer)
        return found
