"""The controller's image stays small: what it never uses is removed, and the rest has a budget."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from kind.image import trim
from kind.image.wheels import REQUIREMENTS

LIBRARIES_BUDGET = 62_000_000
"""Bytes of the compiled libraries: of 180 MB, what Debian (60), Python (30), git (18) and the controller (9) leave."""


def write(file: Path, size: int = 1) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    return file


def test_data_of_other_services_and_tests_are_removed(tmp_path: Path) -> None:
    kept = [
        write(tmp_path / name)
        for name in ("botocore/data/s3/2006/service-2.json", "botocore/data/endpoints.json", "jsonschema/protocols.py")
    ]
    gone = [
        write(tmp_path / name)
        for name in ("botocore/data/ec2/x.json", "jsonschema/tests/test_a.py", "yarl/a.pyi", "boto3/examples/s3.rst")
    ]
    assert sum(map(trim.remove, list(trim.unused_in_site(tmp_path)))) >= len(gone)
    assert all(each.exists() for each in kept)
    assert not any(each.exists() for each in gone)


def test_base_loses_pip_and_documentation_only(tmp_path: Path) -> None:
    stdlib = tmp_path / "usr/local/lib/python3.12"
    kept = [
        write(tmp_path / name)
        for name in ("usr/bin/git", "usr/local/lib/python3.12/json/decoder.py", "usr/share/zoneinfo/UTC", "etc/passwd")
    ]
    gone = [
        write(tmp_path / name)
        for name in (
            "usr/local/lib/python3.12/ensurepip/__init__.py",
            "usr/local/lib/python3.12/site-packages/pip-25.0.dist-info/METADATA",
            "usr/share/doc/git/README",
            "var/lib/apt/lists/debian",
        )
    ]
    for each in list(trim.unused_in_system(tmp_path, stdlib)):
        trim.remove(each)
    assert all(each.exists() for each in kept)
    assert not any(each.exists() for each in gone)


def test_git_keeps_what_clones_and_fetches(tmp_path: Path) -> None:
    core = "usr/lib/git-core"
    kept = [write(tmp_path / name) for name in ("usr/bin/git", f"{core}/git-remote-http", f"{core}/git")]
    gone = [write(tmp_path / name) for name in ("usr/bin/perl5.36", f"{core}/git-daemon", "usr/share/perl/5/a.pm")]
    link = tmp_path / core / "git-shell"
    link.symlink_to("git")
    assert trim.link_second_git(tmp_path) == 1
    assert (tmp_path / core / "git").resolve() == tmp_path / "usr/bin/git"
    assert trim.link_second_git(tmp_path) == 0
    for each in list(trim.unused_in_git(tmp_path)):
        trim.remove(each)
    assert all(each.exists() for each in kept)
    assert not link.is_symlink()
    assert not any(each.exists() for each in gone)


def test_what_is_removed_twice_is_no_error(tmp_path: Path) -> None:
    file = write(tmp_path / "a", 5)
    assert (trim.remove(file), trim.remove(file)) == (5, 0)
    done = subprocess.run([sys.executable, "-I", trim.__file__, "nonsense"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "usage: trim.py site|git|system\n")


def test_libraries_of_the_image_stay_within_their_budget_and_work(tmp_path: Path) -> None:
    """The installed libraries with all that they need, as the image has them."""
    for name in required_distributions():
        for file in metadata.distribution(name).files or ():
            path = Path(str(file.locate()))
            if file.parts[0] != ".." and file.suffix != ".pyc" and path.is_file():
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, tmp_path / file)
    removed = sum(map(trim.remove, list(trim.unused_in_site(tmp_path))))
    removed += sum(map(trim.remove, list(trim.compile_only(tmp_path))))
    left = sum(each.stat().st_size for each in tmp_path.rglob("*") if each.is_file())
    assert left < LIBRARIES_BUDGET, f"{left / 1e6:.1f} MB"
    assert removed > 20_000_000
    root = Path(trim.__file__).parents[2]
    program = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]
import controller.main, controller.runtime.manager, controller.api.app, controller.runtime.webhook_process
import boto3, fastapi
for each in ("s3", "sts"):
    boto3.session.Session(region_name="us-east-1").client(each)
print(fastapi.__file__)
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "fastapi" / "__init__.pyc")


def required_distributions() -> set[str]:
    """The libraries that the image installs, by name."""
    found: set[str] = set()
    waiting = list(REQUIREMENTS)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += [
            re.split(r"[^A-Za-z0-9._-]", each.strip(), maxsplit=1)[0] for each in needed if "extra ==" not in each
        ]
    return found
