"""The controller's image: made from what it is made of, and nothing else."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kind.errors import KindError, ProgramFailedError
from kind.image import build
from kind.image.wheels import (
    REQUIREMENTS,
    ImagePython,
    download_wheels,
    hashed_requirements,
    inspect_python,
    pip_arguments,
)
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind
from tests.unit.kind.conftest import Programs

GLIBC = ImagePython((3, 12), "x86_64", "glibc", 36)


def program(folder: Path) -> build.ImageSpec:
    (folder / "controller" / "agent").mkdir(parents=True)
    (folder / "controller" / "main.py").write_text("print()")
    (folder / "controller" / "agent" / "schema.json").write_text("{}")
    (folder / "controller" / "notes.txt").write_text("not shipped")
    return build.ImageSpec(program=folder / "controller", cache=folder)


def test_tag_depends_on_the_program_and_the_base_only(tmp_path: Path) -> None:
    recipe = program(tmp_path)
    first = build.image_tag(recipe, "sha256:1")
    (recipe.program / "__pycache__").mkdir()
    (recipe.program / "__pycache__" / "main.py").write_text("")
    (recipe.program / "notes.txt").write_text("changed")
    assert build.image_tag(recipe, "sha256:1") == first
    assert build.image_tag(recipe, "sha256:2") != first
    (recipe.program / "main.py").write_text("print(1)")
    assert build.image_tag(recipe, "sha256:1") != first


def test_image_has_the_pages_of_the_dashboard() -> None:
    program = build.ImageSpec().program
    folder = program / "dashboard"
    pages = {file for part in ("templates", "static") for file in (folder / part).iterdir()}
    assert len(pages) > 10
    assert pages <= set(build.source_files(program))


def test_build_context_is_readable_by_all_users(tmp_path: Path) -> None:
    recipe = program(tmp_path)
    (recipe.program / "main.py").chmod(0o600)
    wheels, folder = tmp_path / "wheels", tmp_path / "build"
    wheels.mkdir()
    folder.mkdir()
    (wheels / "a-1-py3-none-any.whl").write_bytes(b"")
    (wheels / "constraints.txt").write_text("")
    (wheels / "requirements.txt").write_text("")
    build.prepare_context(recipe, wheels, folder)
    found = sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())
    program_files = ["controller/agent/schema.json", "controller/main.py"]
    assert found == ["Dockerfile", *program_files, "trim.py", "wheels/a-1-py3-none-any.whl", "wheels/requirements.txt"]
    assert (folder / "controller" / "main.py").stat().st_mode & 0o777 == 0o644


def test_requirements_cover_the_imports_of_the_controller() -> None:
    """`kubernetes` alone is left out: in a pod it is not needed."""
    root = Path(build.__file__).parents[2] / "controller"
    named = {
        "yaml": "pyyaml",
        "prometheus_client": "prometheus-client",
        "botocore": "boto3",
        "re2": "google-re2",
        "starlette": "fastapi",
        "jwt": "pyjwt",
    }
    imported = set()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {each.name.split(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    foreign = {named.get(each, each) for each in imported - set(sys.stdlib_module_names) - {"controller"}}
    assert foreign - {"kubernetes"} <= set(REQUIREMENTS)


def test_wheels_are_for_the_python_of_the_image(tmp_path: Path) -> None:
    words = pip_arguments(GLIBC, tmp_path, tmp_path / "c.txt", None)
    assert words[words.index("--python-version") + 1] == "3.12"
    assert "manylinux_2_36_x86_64" in words
    assert "manylinux_2_37_x86_64" not in words
    assert "--no-index" not in words
    musl = pip_arguments(ImagePython((3, 13), "aarch64", "musl", 2), tmp_path, tmp_path / "c.txt", tmp_path)
    assert "musllinux_1_2_aarch64" in musl
    assert not any("manylinux" in word for word in musl)
    assert "--no-index" in musl


async def test_complete_wheels_are_reused(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {"pip download": (0, "")}
    first = await download_wheels(GLIBC, tmp_path, run_command=programs, pip=("pip",))
    assert await download_wheels(GLIBC, tmp_path, run_command=programs, pip=("pip",)) == first
    assert len(programs.asked) == 1


async def test_wheels_are_recorded_with_their_digests(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {"pip download": (0, "")}
    folder = await download_wheels(GLIBC, tmp_path, run_command=programs, pip=("pip",))
    (folder / "a_b-1.2-1-cp312-abi3-manylinux_2_17_x86_64.whl").write_bytes(b"wheel")
    digest = hashlib.sha256(b"wheel").hexdigest()
    assert hashed_requirements(folder) == f"a_b==1.2 --hash=sha256:{digest}\n"
    # A folder whose files are not those of the download is downloaded again.
    await download_wheels(GLIBC, tmp_path, run_command=programs, pip=("pip",))
    assert (len(programs.asked), list(folder.glob("*.whl"))) == (2, [])


def test_pip_installs_only_wheels_with_the_recorded_digest(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = write_wheel(wheels)
    recorded = wheels / "requirements.txt"
    recorded.write_text(hashed_requirements(wheels))
    flags = next(line for line in build._DOCKERFILE.read_text().splitlines() if "--require-hashes" in line).split()
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--target",
        str(tmp_path / "site"),
    ]
    install += [flag.replace("/wheels", str(wheels)) for flag in flags]
    assert subprocess.run(install, capture_output=True, timeout=60).returncode == 0
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more.py", "")
    done = subprocess.run(install, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "DO NOT MATCH THE HASHES" in done.stderr) == (1, True)


def write_wheel(folder: Path) -> Path:
    """A minimal wheel."""
    file, info = folder / "tiny-1.0-py3-none-any.whl", "tiny-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return file


async def test_failed_download_is_not_marked_complete(tmp_path: Path, programs: Programs) -> None:
    programs.answers = {"pip download": (1, "no matching distribution")}
    for _ in range(2):
        with pytest.raises(KindError, match="--wheels"):
            await download_wheels(GLIBC, tmp_path, run_command=programs, pip=("pip",))
    assert len(programs.asked) == 2


async def test_python_of_the_image_is_inspected_by_running_it(programs: Programs) -> None:
    said = '{"version": [3, 12], "machine": "x86_64", "libc": "glibc", "libc_version": "2.36"}'
    programs.answers = {"docker run": (0, said)}
    assert await inspect_python(Docker(programs), "python:3.12-slim") == GLIBC
    programs.answers = {"docker run": (0, said.replace("[3, 12]", "[3, 9]"))}
    with pytest.raises(KindError, match=r"Python 3\.9"):
        await inspect_python(Docker(programs), "python:3.9")


async def test_image_is_loaded_as_an_archive_if_kind_fails(programs: Programs) -> None:
    programs.answers = {
        "kind load": (1, 'ERROR: command "ctr images import" failed: content digest sha256:1: not found'),
        "docker save": (0, ""),
        "docker exec --interactive node ctr": (0, ""),
    }

    await build.load(Kind(programs), Docker(programs), "c8s", ["node"], "c8s-controller:1", lambda _: None)
    assert "--all-platforms" not in programs.asked[-1]


async def test_missing_image_is_not_loaded_as_an_archive(programs: Programs) -> None:
    programs.answers = {"kind load": (1, 'ERROR: image: "x" not present locally')}
    with pytest.raises(ProgramFailedError, match="not present locally"):
        await build.load(Kind(programs), Docker(programs), "c8s", ["node"], "x", lambda _: None)


async def test_build_reports_whether_the_image_has_git(tmp_path: Path, programs: Programs) -> None:
    said = '{"version": [3, 12], "machine": "x86_64", "libc": "glibc", "libc_version": "2.36"}'
    programs.answers = {
        "docker image inspect": (0, "sha256:1"),
        "docker run": (0, said),
        f"{sys.executable} -m pip": (0, ""),
        "docker image ls": (0, "c8s-controller:new\nc8s-controller:before\nc8s-controller:old\ntheirs/c8s:1"),
        "docker image rm c8s-controller:old": (0, ""),
        "docker build": (0, 'Step 7/12 : RUN command -v git || echo "c8s: this image has no git"\n ---> Running in 1'),
    }
    builder = build.ImageBuilder(Docker(programs), program(tmp_path), programs)
    name, has_git = await builder.build(lambda _: None)
    assert has_git
    assert programs.asked[-1] == "docker image rm c8s-controller:old"
    programs.answers["docker build"] = (0, "Step 7/12 : RUN …\n ---> Running in 1\nc8s: this image has no git")
    assert await builder.build(lambda _: None) == (name, False)


def test_variables_of_the_base_come_before_those_of_the_image() -> None:
    given = ["PATH=/opt/python/bin:/usr/bin", 'NOTE=costs "$5"', "EMPTY=", "nonsense"]
    lines = build.with_environment(build._DOCKERFILE.read_text(), given).splitlines()
    first = lines.index('ENV PATH="/opt/python/bin:/usr/bin"')
    assert lines[first : first + 3] == [
        'ENV PATH="/opt/python/bin:/usr/bin"',
        r'ENV NOTE="costs \"\$5\""',
        'ENV EMPTY=""',
    ]
    assert lines[first - 1].startswith("ENV PATH=/usr/local/bin")
    assert lines[first + 3].startswith("ENV PYTHONPATH=")
