"""The program that holds a pod's network and reaches its ports."""

from __future__ import annotations

import io
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded.kubelet.runtime.engine.pause import program as module
from embedded.kubelet.runtime.engine.pause.image import image_tag, root_file_system
from embedded.kubelet.runtime.engine.pause.program import connect_argument, program

_ASSEMBLERS = {
    "x86_64": "as" if platform.machine() == "x86_64" else "x86_64-linux-gnu-as",
    "aarch64": "as" if platform.machine() == "aarch64" else "aarch64-linux-gnu-as",
}

runs_here = pytest.mark.skipif(
    sys.platform != "linux" or program(platform.machine()) is None, reason="made for Linux on x86_64 and arm64"
)


@pytest.fixture(scope="module")
def executable(tmp_path_factory: pytest.TempPathFactory) -> str:
    content = program(platform.machine())
    assert content is not None
    file = tmp_path_factory.mktemp("pause") / "pause"
    file.write_bytes(content)
    file.chmod(0o700)
    return str(file)


@contextmanager
def reaching(executable: str, address: str, port: int, seconds: int = 60) -> Iterator[subprocess.Popen[bytes]]:
    argument = connect_argument(address, port, seconds)
    with subprocess.Popen([executable, argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as server:
        server.bind((address, 0))
        server.listen()
        server.settimeout(60)
        yield server


@runs_here
def test_it_waits_until_it_is_killed(executable: str) -> None:
    with subprocess.Popen([executable]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL


@runs_here
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_copies_between_a_port_and_its_own_streams(executable: str, address: str) -> None:
    with listening(address) as server, reaching(executable, address, server.getsockname()[1]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        peer = server.accept()[0]
        assert process.stdout.read(1) == module.CONNECTED
        process.stdin.write(b"to the pod")
        process.stdin.flush()
        assert peer.recv(100) == b"to the pod"
        large = bytes(range(256)) * 400
        peer.sendall(large)
        peer.close()
        assert process.stdout.read() == large
        assert process.wait(60) == 0


@runs_here
def test_it_ends_with_its_stdin_and_after_its_time(executable: str) -> None:
    with listening("127.0.0.1") as server:
        with reaching(executable, "127.0.0.1", server.getsockname()[1]) as process:
            assert process.stdin is not None
            with server.accept()[0] as peer:
                process.stdin.close()
                assert process.wait(60) == 0
                assert peer.recv(1) == b""
        with reaching(executable, "127.0.0.1", server.getsockname()[1], seconds=1) as process:
            assert process.wait(60) == -signal.SIGALRM


@runs_here
def test_its_exit_code_tells_why_there_is_no_connection(executable: str) -> None:
    with listening("127.0.0.1") as server:
        port = server.getsockname()[1]
    with reaching(executable, "127.0.0.1", port) as process:
        assert process.wait(60) == 111
        assert process.stdout is not None
        assert process.stdout.read() == b""


@pytest.mark.parametrize(
    ("address", "port", "error"),
    [("name", 1, ValueError), ("127.0.0.1", 65536, OverflowError), ("::1", -1, OverflowError)],
)
def test_what_is_no_place_is_refused(address: str, port: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        connect_argument(address, port, 1)


@pytest.mark.parametrize("architecture", sorted(_ASSEMBLERS))
def test_the_code_is_assembled_from_its_source(architecture: str, tmp_path: Path) -> None:
    assembler = _ASSEMBLERS[architecture]
    if shutil.which(assembler) is None:
        pytest.skip(f"there is no {assembler} (Debian: binutils)")
    source = Path(module.__file__).parent / f"{architecture}.s"
    subprocess.run([assembler, "-o", "program.o", str(source)], cwd=tmp_path, check=True)
    objcopy = assembler.removesuffix("as") + "objcopy"
    subprocess.run([objcopy, "-O", "binary", "program.o", "program"], cwd=tmp_path, check=True)
    content = program(architecture)
    assert content is not None
    assert content.endswith(code := (tmp_path / "program").read_bytes())
    assert len(content) == len(code) + 120


def test_every_program_has_an_image_of_its_own() -> None:
    contents = [program(name) for name in ("x86_64", "aarch64")]
    assert all(contents)
    assert len({image_tag(content) for content in contents if content}) == 2
    assert program("s390x") is None
    with tarfile.open(fileobj=io.BytesIO(root_file_system(b"x"))) as tar:
        assert [(member.name, member.mode) for member in tar] == [("pause", 0o755)]
