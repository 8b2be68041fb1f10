"""An image with Python, git and a shell that is made of this machine's files: the base of the agent's image."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import quote

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine
from embedded.kubelet.runtime.engine.errors import EngineError

AGENT_BASE = "c8s-test-python:1"
_LEFT_OUT = (
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "ensurepip",
    "lib2to3",
    "tkinter",
    "__pycache__",
)
_PYTHON = "/usr/bin/python3"
# One variable each: Podman takes several for one.
_CHANGES = ("ENV PATH=/bin:/usr/bin", "ENV LD_LIBRARY_PATH=/usr/local/lib")


def make_agent_base(found: FoundEngine) -> str:
    """Import the image unless it is there; its name."""
    asyncio.run(_make(found))
    return AGENT_BASE


async def _make(found: FoundEngine) -> None:
    async with EngineClient(found.address) as client:
        try:
            await client.get(f"/images/{AGENT_BASE}/json")
        except EngineError:
            content = await asyncio.to_thread(_root_file_system)
            changes = "&".join(f"changes={quote(change)}" for change in _CHANGES)
            query = {"fromSrc": "-", "repo": AGENT_BASE}
            await client.request("POST", f"/images/create?{changes}", query, content)


def _root_file_system() -> bytes:
    """Files are where they are on this machine, so that programs find them."""
    busybox, git = shutil.which("busybox"), shutil.which("git")
    assert busybox is not None
    assert git is not None
    python = Path(_PYTHON if Path(_PYTHON).exists() else sys.executable).resolve()
    library = Path(_output(str(python), "-I", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))").strip())
    below = {path for path in library.rglob("*") if path.is_file() and not _is_left_out(path.relative_to(library))}
    core = Path(_output(git, "--exec-path").strip())
    programs = {python, Path(git).resolve(), core / "git-remote-http", core / "git-remote-https"}
    files = below | programs | _libraries(programs | {path for path in below if path.suffix == ".so"})
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(path for path in files if path.exists()):
            tar.add(path.resolve(), str(path).lstrip("/"))
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "cat", "env", "sleep", "true"):
            _link(tar, f"bin/{name}", "/bin/busybox")
        _link(tar, "usr/bin/python3", str(python))
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(temporary)
    return archive.getvalue()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _is_left_out(path: Path) -> bool:
    return any(part in _LEFT_OUT or part.startswith("config-") for part in path.parts)


def _libraries(programs: set[Path]) -> set[Path]:
    """The shared libraries of programs, with the loader."""
    # A script among them is an error of the whole command, which lists the others all the same.
    output = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True).stdout
    words = (word for line in output.splitlines() if not line.endswith(":") for word in line.split())
    return {Path(word) for word in words if word.startswith("/") and ".so" in word}


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)
