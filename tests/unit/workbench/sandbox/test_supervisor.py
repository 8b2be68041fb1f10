"""The supervisor, with two small servers instead of the cluster and the controller."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from workbench.sandbox import processes
from workbench.sandbox.launch import listen
from workbench.sandbox.locks import FileLock
from workbench.sandbox.paths import SandboxPaths, SandboxState, read_state
from workbench.sandbox.status import check_ready
from workbench.sandbox.supervisor import restart_delay

_SERVER = """
import http.server, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *args): pass
server = http.server.HTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=int(sys.argv[sys.argv.index("--listen-fd") + 1]))
server.serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> SandboxPaths:
    folder = SandboxPaths.named("default", tmp_path)
    folder.create()
    return folder


@pytest.fixture
def supervisor(folder: SandboxPaths) -> Iterator[subprocess.Popen[bytes]]:
    """A running supervisor of a sandbox with an attached client."""
    users = FileLock(folder.users_lock)
    users.acquire(shared=True)
    process = start_supervisor(folder)
    yield process
    process.terminate()
    process.wait(60)
    users.release()


def start_supervisor(folder: SandboxPaths, cluster: list[str] | None = None) -> subprocess.Popen[bytes]:
    with listen(0) as cluster_socket, listen(0) as api:
        read_end, write_end = os.pipe()
        command = json.dumps([sys.executable, "-c", _SERVER])
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "workbench.sandbox.supervisor", str(folder.root), "--version", "1"),
                *("--ready-fd", str(write_end)),
                *("--cluster-fd", str(cluster_socket.fileno())),
                *("--cluster", json.dumps(cluster) if cluster else command),
                *("--controller-fd", str(api.fileno()), "--controller", command),
            ],
            pass_fds=[write_end, cluster_socket.fileno(), api.fileno()],
        )
        os.close(write_end)
        assert os.read(read_end, 10) == b"ready\n"
        os.close(read_end)
    return process


def state_of(folder: SandboxPaths) -> SandboxState:
    state = read_state(folder)
    assert state is not None
    return state


def test_children_serve_the_ports_in_the_state_file(folder: SandboxPaths, supervisor: subprocess.Popen[bytes]) -> None:
    state = state_of(folder)
    assert state.pid == supervisor.pid
    assert check_ready(state.cluster_port).ready
    assert check_ready(state.api_port).ready


def test_killed_child_is_restarted_on_its_port(folder: SandboxPaths, supervisor: subprocess.Popen[bytes]) -> None:
    before = state_of(folder)
    os.kill(before.children["cluster"].pid, signal.SIGKILL)
    wait_until(lambda: state_of(folder).children.get("cluster", before.children["cluster"]).restarts == 1)
    after = state_of(folder)
    assert after.children["cluster"].last_exit == "signal 9"
    assert after.cluster_port == before.cluster_port
    assert after.children["controller"] == before.children["controller"]
    assert check_ready(after.cluster_port).ready


def test_second_supervisor_exits(folder: SandboxPaths, supervisor: subprocess.Popen[bytes]) -> None:
    with listen(0) as socket:
        answer = subprocess.run(
            [
                *(sys.executable, "-m", "workbench.sandbox.supervisor", str(folder.root), "--version", "1"),
                *("--ready-fd", "0", "--cluster-fd", str(socket.fileno()), "--cluster", "[]"),
                *("--controller-fd", str(socket.fileno()), "--controller", "[]"),
            ],
            pass_fds=[socket.fileno()],
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert answer.returncode == 1
    assert b"another supervisor" in answer.stderr


def test_sigterm_terminates_the_children(folder: SandboxPaths, supervisor: subprocess.Popen[bytes]) -> None:
    children = state_of(folder).children.values()
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert not any(processes.is_alive(child.pid, child.started) for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_children_end_with_a_killed_supervisor(folder: SandboxPaths, supervisor: subprocess.Popen[bytes]) -> None:
    children = state_of(folder).children.values()
    supervisor.kill()
    wait_until(lambda: not any(processes.is_alive(child.pid, child.started) for child in children))


def test_unused_sandbox_stops(folder: SandboxPaths) -> None:
    users = FileLock(folder.users_lock)
    users.acquire(shared=True)
    process = start_supervisor(folder)
    users.release()
    assert process.wait(60) == 0


def test_kept_sandbox_keeps_running(folder: SandboxPaths) -> None:
    folder.keep_marker.touch()
    process = start_supervisor(folder)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    folder.keep_marker.unlink()
    assert process.wait(60) == 0


def test_sandbox_ends_when_its_folder_is_deleted(folder: SandboxPaths) -> None:
    folder.keep_marker.touch()
    process = start_supervisor(folder)
    children = state_of(folder).children.values()
    # At once: the supervisor may write into a folder that is being emptied.
    folder.root.rename(folder.root.with_name("moved"))
    assert process.wait(60) == 0
    assert not any(processes.is_alive(child.pid, child.started) for child in children)
    assert not folder.root.exists()


def test_sandbox_ends_when_its_folder_was_made_again(folder: SandboxPaths) -> None:
    folder.keep_marker.touch()
    process = start_supervisor(folder)
    # At once: the supervisor may write into a folder that is being emptied.
    folder.root.rename(folder.root.with_name("moved"))
    folder.create()
    folder.supervisor_lock.touch()
    assert process.wait(60) == 0


def test_deleted_state_file_is_written_again(folder: SandboxPaths, supervisor: subprocess.Popen[bytes]) -> None:
    before = state_of(folder)
    folder.state_file.unlink()
    wait_until(lambda: read_state(folder) == before)


def test_child_that_cannot_read_its_data_is_not_restarted(folder: SandboxPaths) -> None:
    folder.keep_marker.touch()
    script = "import sys; print('c8s-cluster: the database is damaged', file=sys.stderr); sys.exit(65)"
    process = start_supervisor(folder, cluster=[sys.executable, "-c", script])
    assert process.wait(60) == 0
    assert state_of(folder).failure == "the database is damaged"


def test_restart_delays_grow_up_to_a_limit() -> None:
    delays = [restart_delay(failures) for failures in range(1, 10)]
    assert delays == sorted(delays)
    assert delays[0] <= 0.1
    assert delays[-1] == 5.0
