"""The controller's image: what goes into it, its tag, its building and its way onto the cluster's nodes.

The tag is made from the content, so that nothing is built twice and no node keeps an old image under a new one's name.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kind.errors import KindError, ProgramFailedError
from kind.image.wheels import WANTED, gather, pins, python_of
from kind.kustomize import CONTROLLER_IMAGE
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind
from kind.tools.process import OnLine, Run, run

BASE_IMAGE = "python:3.12-slim"
_DOCKERFILE = Path(__file__).with_name("Dockerfile")
_SUFFIXES = {".py", ".json"}
_NO_GIT = "c8s: this image has no git"


@dataclass(frozen=True)
class Recipe:
    """What the image is made from. `wheels`: a folder of wheels, for machines without a package index."""

    base: str = BASE_IMAGE
    wheels: Path | None = None
    cache: Path = Path()
    program: Path = Path(__file__).resolve().parents[2] / "controller"


def sources(program: Path) -> Iterator[Path]:
    """The files of the program that go into the image, in a fixed order."""
    for file in sorted(program.rglob("*")):
        if file.is_file() and file.suffix in _SUFFIXES and "__pycache__" not in file.parts:
            yield file


def tag(recipe: Recipe, base_id: str) -> str:
    """The image's full name, from everything that makes it what it is."""
    digest = hashlib.sha256()
    for part in (base_id, _DOCKERFILE.read_text(), pins(), repr(WANTED)):
        digest.update(part.encode() + b"\0")
    for file in sources(recipe.program):
        digest.update(file.relative_to(recipe.program).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{CONTROLLER_IMAGE}:{digest.hexdigest()[:12]}"


def lay_out(recipe: Recipe, wheels: Path, folder: Path) -> None:
    """Put the build's folder together."""
    shutil.copy(_DOCKERFILE, folder / "Dockerfile")
    (folder / "wheels").mkdir()
    for wheel in sorted(wheels.glob("*.whl")):
        shutil.copy(wheel, folder / "wheels")
    for file in sources(recipe.program):
        target = folder / "controller" / file.relative_to(recipe.program)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        # Whatever the umask here: the image's user is another than ours.
        target.chmod(0o644)
    for each in (folder / "controller", *(folder / "controller").rglob("*")):
        if each.is_dir():
            each.chmod(0o755)


@dataclass
class ImageBuilder:
    """Builds and loads. `runs` is how programs are run."""

    docker: Docker
    recipe: Recipe
    runs: Run = run

    async def name(self) -> str | None:
        """The tag that the image has or will have; None while the base is not on this machine."""
        base = await self.docker.image_id(self.recipe.base)
        return tag(self.recipe, base) if base is not None else None

    async def present(self) -> str | None:
        """The image's tag, when it is here already."""
        name = await self.name()
        return name if name is not None and await self.docker.image_id(name) is not None else None

    async def build(self, say: OnLine) -> tuple[str, bool]:
        """Make the image; its tag, and whether it has git. Raises KindError."""
        if await self.docker.image_id(self.recipe.base) is None:
            say(f"pulling {self.recipe.base}")
            await self.docker.pull(self.recipe.base, say)
        name = await self.name()
        if name is None:
            raise KindError(
                f"Docker pulled {self.recipe.base}, and has no such image", "Name another with --base-image."
            )
        say("collecting wheels")
        python = await python_of(self.docker, self.recipe.base)
        wheels = await gather(python, self.recipe.cache, source=self.recipe.wheels, on_line=say, runs=self.runs)
        heard: list[str] = []

        def listen(line: str) -> None:
            heard.append(line)
            say(line)

        with tempfile.TemporaryDirectory(prefix="c8s-image-") as folder:
            lay_out(self.recipe, wheels, Path(folder))
            await self.docker.build(Path(folder), name, {"BASE": self.recipe.base}, on_line=listen)
        # A step's own text is repeated by the builder when it shows the step; what counts is a line that is only that.
        return name, not any(line.strip().endswith(_NO_GIT) and "echo" not in line for line in heard)


async def load(kind: Kind, docker: Docker, cluster: str, nodes: Sequence[str], image: str, say: OnLine) -> None:
    """Put a local image on the nodes; by an archive where kind's own way breaks, as with Docker's containerd store."""
    try:
        await kind.load(cluster, image, say)
        return
    except ProgramFailedError as error:
        if "not present locally" in error.what or "no nodes found" in error.what:
            raise
        say(f"kind could not load {image}; trying it as an archive")
    with tempfile.TemporaryDirectory(prefix="c8s-image-") as folder:
        archive = Path(folder) / "image.tar"
        await docker.save(image, archive)
        for node in nodes:
            await docker.load_archive(node, archive)
