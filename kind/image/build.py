"""The controller image: its content, its tag, the build, and loading it onto the nodes of the cluster.

The tag is a digest of the content, so that nothing is built twice and no node keeps an old image under the same name.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kind.errors import KindError, ProgramFailedError
from kind.image.wheels import REQUIREMENTS, REQUIREMENTS_FILE, download_wheels, inspect_python, installed_constraints
from kind.kustomize import CONTROLLER_IMAGE
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind
from kind.tools.process import CommandRunner, OnLine, run

BASE_IMAGE = "python:3.12-slim"
_DOCKERFILE = Path(__file__).with_name("Dockerfile")
_TRIM = Path(__file__).with_name("trim.py")
IMAGE_ROLE = "dev.c8s.role=controller-image"
"""The label that the Dockerfile sets."""
KEPT_IMAGES = 2
"""The newest images that a build leaves: of what is installed, and of the version before."""
_SUFFIXES = {".py", ".json", ".html", ".css", ".js", ".svg"}
"""Of the program's files; those of pages are templates, styles and scripts."""
_ENVIRONMENT_MARK = "# The variables of the base: ENVIRONMENT\n"
_DOLLAR = "\\$"
_NO_GIT_LINE = "c8s: this image has no git"


@dataclass(frozen=True)
class ImageSpec:
    """The inputs of the image. `wheels`: a folder of wheels, for hosts without a package index."""

    base: str = BASE_IMAGE
    wheels: Path | None = None
    cache: Path = Path()
    program: Path = Path(__file__).resolve().parents[2] / "controller"


def source_files(program: Path) -> Iterator[Path]:
    """The files of the program in the image, in a fixed order."""
    for file in sorted(program.rglob("*")):
        if file.is_file() and file.suffix in _SUFFIXES and "__pycache__" not in file.parts:
            yield file


def image_tag(recipe: ImageSpec, base_id: str) -> str:
    """The full name of the image, with a tag from all its inputs."""
    digest = hashlib.sha256()
    for part in (base_id, _DOCKERFILE.read_text(), _TRIM.read_text(), installed_constraints(), repr(REQUIREMENTS)):
        digest.update(part.encode() + b"\0")
    for file in source_files(recipe.program):
        digest.update(file.relative_to(recipe.program).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{CONTROLLER_IMAGE}:{digest.hexdigest()[:12]}"


def prepare_context(recipe: ImageSpec, wheels: Path, folder: Path, environment: Sequence[str] = ()) -> None:
    """Create the context of the build in a folder.

    Args:
        environment: the variables of the base, as `NAME=value`: the last stage begins without them.
    """
    (folder / "Dockerfile").write_text(with_environment(_DOCKERFILE.read_text(), environment))
    shutil.copy(_TRIM, folder)
    (folder / "wheels").mkdir()
    for file in (*sorted(wheels.glob("*.whl")), wheels / REQUIREMENTS_FILE):
        shutil.copy(file, folder / "wheels")
    for file in source_files(recipe.program):
        target = folder / "controller" / file.relative_to(recipe.program)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        # Regardless of the umask, because the user of the image is another.
        target.chmod(0o644)
    for each in (folder / "controller", *(folder / "controller").rglob("*")):
        if each.is_dir():
            each.chmod(0o755)


def with_environment(dockerfile: str, environment: Sequence[str]) -> str:
    """The Dockerfile with the variables of the base where it asks for them."""
    pairs = [each.partition("=") for each in environment if "=" in each]
    # In double quotes, as in JSON; a dollar would name a variable.
    lines = [f"ENV {name}={json.dumps(value, ensure_ascii=False).replace('$', _DOLLAR)}\n" for name, _, value in pairs]
    return dockerfile.replace(_ENVIRONMENT_MARK, "".join(lines))


@dataclass
class ImageBuilder:
    """Builds the image."""

    docker: Docker
    spec: ImageSpec
    run_command: CommandRunner = run

    async def tag(self) -> str | None:
        """The tag of the image, built or not; None while the base is not on this host."""
        base = await self.docker.image_id(self.spec.base)
        return image_tag(self.spec, base) if base is not None else None

    async def existing_tag(self) -> str | None:
        """The tag of the image if this host has it."""
        name = await self.tag()
        return name if name is not None and await self.docker.image_id(name) is not None else None

    async def build(self, report: OnLine) -> tuple[str, bool]:
        """Build the image; its tag, and whether it contains git. Raises KindError."""
        if await self.docker.image_id(self.spec.base) is None:
            report(f"pulling {self.spec.base}")
            await self.docker.pull(self.spec.base, report)
        name = await self.tag()
        if name is None:
            raise KindError(
                f"Docker pulled {self.spec.base}, but does not list it", "Choose another base with --base-image."
            )
        report("collecting wheels")
        python = await inspect_python(self.docker, self.spec.base)
        wheels = await download_wheels(
            python, self.spec.cache, source=self.spec.wheels, on_line=report, run_command=self.run_command
        )
        environment = (await self.docker.image_config(self.spec.base) or {}).get("Env") or ()
        output: list[str] = []

        def handle(line: str) -> None:
            output.append(line)
            report(line)

        with tempfile.TemporaryDirectory(prefix="c8s-image-") as folder:
            prepare_context(self.spec, wheels, Path(folder), environment)
            await self.docker.build(Path(folder), name, {"BASE": self.docker.name(self.spec.base)}, on_line=handle)
        await self.docker.prune(IMAGE_ROLE, CONTROLLER_IMAGE, keep=KEPT_IMAGES)
        # The builder also prints the command itself, which contains the line after `echo`.
        return name, not any(line.strip().endswith(_NO_GIT_LINE) and "echo" not in line for line in output)


async def load(kind: Kind, docker: Docker, cluster: str, nodes: Sequence[str], image: str, report: OnLine) -> None:
    """Load a local image onto the nodes: as an archive if kind fails, as it does with the containerd image store.

    `kind load docker-image` asks Docker, whichever engine the nodes are in.
    """
    try:
        if docker.program == "docker":
            await kind.load(cluster, image, report)
            return
    except ProgramFailedError as error:
        if "not present locally" in error.message or "no nodes found" in error.message:
            raise
        report(f"kind could not load {image}; loading it as an archive")
    with tempfile.TemporaryDirectory(prefix="c8s-image-") as folder:
        archive = Path(folder) / "image.tar"
        await docker.save([image], archive)
        for node in nodes:
            await docker.load_archive(node, archive)
