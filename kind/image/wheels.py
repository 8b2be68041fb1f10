"""The wheels of the controller image, downloaded by pip of the host for the Python of the image.

The versions are those installed on the host, so that the image has what was tested. The digests of what was downloaded
are recorded: the image installs exactly these files. A complete folder is reused without a network while they match.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from kind.errors import KindError, ProgramFailedError
from kind.tools.docker_cli import Docker
from kind.tools.process import CommandRunner, OnLine, run

REQUIREMENTS = (
    "ahocorasick_rs",
    "aiohttp",
    "boto3",
    "cryptography",
    "django-js-lib-htmx",
    "fastapi",
    "google-re2",
    "httptools",
    "jinja2",
    "jsonschema",
    "markupsafe",
    "prometheus-client",
    "pydantic",
    "pyjwt",
    "pyyaml",
    "uvicorn",
    "websockets",
)
"""The libraries that the controller imports, without those of the workbench only."""

_PIP_SECONDS = 900.0
REQUIREMENTS_FILE = "requirements.txt"
"""Versions and digests of the downloaded wheels; written last, so a folder with it is complete."""
_INSPECT_SCRIPT = """
import json, platform, sys, sysconfig
libc, version = platform.libc_ver()
print(json.dumps({"version": list(sys.version_info[:2]), "machine": platform.machine(), "libc": libc,
                  "libc_version": version, "platform": sysconfig.get_platform()}))
"""


@dataclass(frozen=True)
class ImagePython:
    """The Python of an image. `libc` is `glibc` or `musl`, `libc_minor` its minor version."""

    version: tuple[int, int]
    machine: str
    libc: str
    libc_minor: int

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags of compatible wheels, newest first."""
        if self.libc == "musl":
            return tuple(f"musllinux_1_{minor}_{self.machine}" for minor in range(self.libc_minor, 0, -1))
        newer = tuple(f"manylinux_2_{minor}_{self.machine}" for minor in range(self.libc_minor, 4, -1))
        return (*newer, f"manylinux2014_{self.machine}", f"linux_{self.machine}")

    @property
    def abi(self) -> str:
        return f"cp{self.version[0]}{self.version[1]}"


async def inspect_python(docker: Docker, image: str) -> ImagePython:
    """Run Python in the image to inspect it. Raises KindError if there is none or it is too old."""
    output = await docker.output(image, ["python3", "-c", _INSPECT_SCRIPT])
    try:
        found = json.loads(output.strip().splitlines()[-1])
        version = (int(found["version"][0]), int(found["version"][1]))
    except (ValueError, KeyError, IndexError) as error:
        raise KindError(
            f"the Python of the image {image} can't be inspected: {error}", "Choose another base with --base-image."
        ) from None
    if version < (3, 11):
        raise KindError(f"the image {image} has Python {version[0]}.{version[1]}", "Choose a base with 3.11 or newer.")
    musl = found["libc"] != "glibc"
    minor = re.search(r"\.(\d+)", found["libc_version"] or "")
    return ImagePython(
        version, found["machine"], "musl" if musl else "glibc", int(minor[1]) if minor else 2 if musl else 17
    )


@functools.cache
def installed_constraints() -> str:
    """A constraints file with all packages installed on this host; pip ignores those that the image does not need.

    Reading them takes a third of a second; they are read once.
    """
    found = {
        str(each.metadata["Name"]).lower().replace("_", "-"): each.version
        for each in metadata.distributions()
        if each.metadata["Name"] and not each.metadata["Name"].lower().startswith("c8s")
    }
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))


def pip_arguments(python: ImagePython, folder: Path, constraints: Path, source: Path | None) -> list[str]:
    """The arguments of pip. `source`: a folder of wheels to use instead of a package index."""
    arguments = [
        "download",
        "--quiet",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        "--constraint",
        str(constraints),
    ]
    arguments += ["--implementation", "cp", "--python-version", f"{python.version[0]}.{python.version[1]}"]
    arguments += [argument for abi in (python.abi, "abi3", "none") for argument in ("--abi", abi)]
    arguments += [argument for platform in python.platforms for argument in ("--platform", platform)]
    if source is not None:
        arguments += ["--no-index", "--find-links", str(source)]
    return [*arguments, *REQUIREMENTS]


async def download_wheels(
    python: ImagePython,
    cache: Path,
    *,
    source: Path | None = None,
    on_line: OnLine | None = None,
    run_command: CommandRunner = run,
    pip: Sequence[str] = (sys.executable, "-m", "pip"),
) -> Path:
    """Download the wheels; their folder. Raises KindError."""
    pinned = installed_constraints()
    key = hashlib.sha256(repr((pinned, REQUIREMENTS, python, str(source or ""))).encode()).hexdigest()[:16]
    folder = cache / f"wheels-{key}"
    if _is_complete(folder):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    constraints = folder / "constraints.txt"
    constraints.write_text(pinned)
    result = await run_command(
        [*pip, *pip_arguments(python, folder, constraints, source)], timeout=_PIP_SECONDS, on_line=on_line
    )
    if result.code:
        raise _pip_failure(result.to_error(), result.err)
    (folder / REQUIREMENTS_FILE).write_text(hashed_requirements(folder))
    return folder


def hashed_requirements(folder: Path) -> str:
    """A requirements file with the name, version and digest of each wheel in the folder, for `--require-hashes`."""
    return "".join(f"{_requirement(wheel)}\n" for wheel in sorted(folder.glob("*.whl")))


def _requirement(wheel: Path) -> str:
    # name-version[-build]-python-abi-platform.whl, https://packaging.python.org/specifications/binary-distribution-format
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def _is_complete(folder: Path) -> bool:
    """Whether the folder was filled by a whole download and still has its files."""
    recorded = folder / REQUIREMENTS_FILE
    return recorded.exists() and recorded.read_text() == hashed_requirements(folder)


def _pip_failure(error: ProgramFailedError, output: str) -> KindError:
    if "No module named pip" in output:
        return KindError("this Python has no pip", f"`{sys.executable} -m ensurepip`, then try again.")
    return KindError(
        error.message,
        "Without a package index, download the wheels elsewhere and pass their folder with --wheels.",
    )
