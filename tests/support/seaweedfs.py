"""A real S3 server (SeaweedFS) as a process that tests may kill and start again."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.tools import find_tool
from tests.support.waiting import wait_until

ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"
PROGRAM = "weed"
START_SECONDS = 60.0
_PARTS = ("master", "volume", "filer", "s3")


@dataclass
class SeaweedServer:
    """A server with its data below `folder`. It keeps data and address when it is killed and started again."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
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
        program = find_tool(PROGRAM)
        assert program is not None
        if not self.ports:
            names = [f"{part}.port{kind}" for part in _PARTS for kind in ("", ".grpc")]
            self.ports = dict(zip(names, _free_ports(len(names)), strict=True))
        (self.folder / "data").mkdir(exist_ok=True)
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        identity = {"name": "c8s", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        command = [program, "server", "-s3", "-filer", f"-dir={self.folder / 'data'}", "-s3.iam=false"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", *(f"-{name}={port}" for name, port in self.ports.items())]
        command += [f"-s3.config={self.folder / 's3.json'}", "-master.telemetry=false"]
        command += ["-master.volumeSizeLimitMB=64", "-volume.max=50"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, START_SECONDS, what="the S3 server answers", interval=0.1)

    def kill(self) -> None:
        """Kill it, as a failure of its machine would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        # It creates these beside its ports, and a killed one does not delete them.
        for port in self.ports.values():
            for path in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError("the S3 server ended:\n" + (self.folder / "server.log").read_text()[-2000:])
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(self.url, timeout=2)
            except urllib.error.HTTPError:
                # Without credentials it refuses, once it runs.
                return self._has_volume_server()
        return False

    def _has_volume_server(self) -> bool:
        address = f"http://127.0.0.1:{self.ports['master.port']}/dir/assign"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return "fid" in json.load(answer)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago: the server takes no sockets."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
