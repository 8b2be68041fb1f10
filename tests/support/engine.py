"""A container engine for tests, and an image that is made on the spot: no test needs a registry."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine, find_engine
from embedded.kubelet.runtime.engine.connection.files import EngineFiles
from embedded.kubelet.runtime.engine.errors import EngineError
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

TEST_IMAGE = "c8s-test-busybox:1"
"""busybox as an image, with a user `worker` (1234) and the entrypoint `/bin/entry`, which prints its arguments."""

FILES_ENV = "C8S_TEST_ENGINE_FILES"
"""With the value `engine`, tests of an engine that shares this machine's files run with files of the engine's own."""

_PASSWD = "root:x:0:0:root:/root:/bin/sh\nworker:x:1234:1234:worker:/tmp:/bin/sh\n"
_ENTRY = '#!/bin/sh\necho "entry: $*"\n'
_CHANGES = ("ENV PATH=/bin", "ENV FROM_IMAGE=yes", 'ENTRYPOINT ["/bin/entry"]', 'CMD ["default"]', "WORKDIR /home")


def root_file_system(busybox: str) -> bytes:
    """A tar archive of a system that has busybox and nothing else."""
    content = Path(busybox).read_bytes()
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("tmp", 0o1777), ("root", 0o700)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        files = {"bin/busybox": content, "bin/entry": _ENTRY.encode(), "etc/passwd": _PASSWD.encode()}
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
        for applet in set(applets) - {"busybox"}:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return archive.getvalue()


async def import_image(client: EngineClient, image: str, content: bytes) -> bool:
    """Import a root file system as an image; False if there is one of that name."""
    try:
        await client.get(f"/images/{image}/json")
    except EngineError:
        query = {"fromSrc": "-", "repo": image}
        path = "/images/create?" + "&".join(f"changes={quote(change)}" for change in _CHANGES)
        await client.request("POST", path, query, content)
        return True
    return False


def engine_files() -> EngineFiles:
    """Whose disk has the files of pods in tests that do not say it themselves."""
    return "engine" if os.environ.get(FILES_ENV) == "engine" else "shared"


shared_files = pytest.mark.skipif(
    engine_files() == "engine", reason="an engine with files of its own shares none with processes of this machine"
)


async def _find() -> FoundEngine:
    found = find_engine("auto", os.environ, Path.home())
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RuntimeUnavailableError("there is no busybox for an image (Debian: busybox-static)")
    async with EngineClient(found.address) as client:
        await import_image(client, TEST_IMAGE, root_file_system(busybox))
    return found


@contextmanager
def engine_images(found: FoundEngine, *images: str) -> Iterator[None]:
    """Images of other names, as long as this lasts; those that are there already are used, and stay."""
    busybox = shutil.which("busybox")
    assert busybox is not None

    async def bring() -> list[str]:
        async with EngineClient(found.address) as client:
            content = root_file_system(str(busybox))
            return [image for image in images if await import_image(client, image, content)]

    async def remove(brought: list[str]) -> None:
        async with EngineClient(found.address) as client:
            for image in brought:
                await client.delete(f"/images/{image}", force="1")

    brought = asyncio.run(bring())
    try:
        yield
    finally:
        asyncio.run(remove(brought))


@pytest.fixture(scope="session")
def engine() -> FoundEngine:
    """An engine with TEST_IMAGE; without one the test is skipped, or fails with C8S_TEST_ENGINE=required."""
    try:
        # In a thread of its own: this may be called while a loop runs.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(_find())).result()
    except RuntimeUnavailableError as error:
        if os.environ.get("C8S_TEST_ENGINE") == "required":
            pytest.fail(f"C8S_TEST_ENGINE=required, but {error}")
        pytest.skip(str(error))
