"""Removes from the controller's image what it never uses. Runs while the image is built, with the base's own Python.

    python3 trim.py site      libraries: data of services other than S3, tests, and sources once they are compiled
    python3 trim.py git       git that was installed for the image: what needs Perl or is a server, and Perl with it
    python3 trim.py system    the base: pip, parts of the standard library with a screen, documentation, packages' tools

Standard library only, and no import of this project: it is copied into the build alone.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SITE = Path("/opt/c8s/site")
_AWS_SERVICES = {"s3", "sts"}
"""S3 for the store; STS turns the token of a service account into credentials."""
_TEST_FOLDERS = {"test", "tests"}
_SOURCES = {".pyi", ".pyx", ".pxd", ".c", ".cpp", ".h"}
_UNUSED_STDLIB = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtledemo")
_UNUSED_SITE = ("pip", "pip-*.dist-info", "setuptools", "setuptools-*.dist-info", "wheel", "wheel-*.dist-info")
_SYSTEM = (
    "usr/bin/apt*",
    "usr/bin/dpkg*",
    "usr/lib/*/gconv",
    "usr/lib/*/libapt-*",
    "usr/lib/apt",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt/*",
    "var/cache/debconf/*",
    "var/lib/apt/lists/*",
    "var/log/*",
)
_GIT = (
    "usr/bin/git-shell",
    "usr/bin/perl*",
    "usr/bin/scalar",
    "usr/lib/git-core/git-daemon",
    "usr/lib/git-core/git-http-backend",
    "usr/lib/git-core/git-http-fetch",
    "usr/lib/git-core/git-http-push",
    "usr/lib/git-core/git-imap-send",
    "usr/lib/git-core/git-sh-i18n--envsubst",
    "usr/lib/git-core/git-shell",
    "usr/lib/git-core/scalar",
    "usr/lib/*/libperl*",
    "usr/lib/*/perl*",
    "usr/share/git-core/contrib",
    "usr/share/gitweb",
    "usr/share/perl*",
)


def unused_in_site(site: Path) -> Iterator[Path]:
    """What can go of the installed libraries: files and whole folders."""
    data = site / "botocore" / "data"
    yield from (each for each in sorted(data.glob("*/")) if each.is_dir() and each.name not in _AWS_SERVICES)
    boto3 = site / "boto3"
    yield from (each for each in sorted((boto3 / "data").glob("*")) if each.is_dir() and each.name not in _AWS_SERVICES)
    yield boto3 / "examples"
    for each in sorted(site.glob("*/**/")):
        if each.name in _TEST_FOLDERS:
            yield each
    yield from (each for each in sorted(site.rglob("*")) if each.suffix in _SOURCES and each.is_file())


def unused_in_system(root: Path, stdlib: Path) -> Iterator[Path]:
    """What can go of the base: found again by patterns, so that another base loses nothing by them."""
    yield from (stdlib / name for name in _UNUSED_STDLIB)
    for pattern in _UNUSED_SITE:
        yield from sorted((stdlib / "site-packages").glob(pattern))
    yield from (found for pattern in _SYSTEM for found in sorted(root.glob(pattern)))


def unused_in_git(root: Path) -> Iterator[Path]:
    """What cloning and fetching do without, of Debian's packages."""
    yield from (found for pattern in _GIT for found in sorted(root.glob(pattern)))


def compile_only(site: Path) -> Iterator[Path]:
    """Compile the libraries; yields the sources that are not needed then. Lines of tracebacks are still numbered."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(site, quiet=2, legacy=True, invalidation_mode=mode)
    yield from (each for each in sorted(site.rglob("*.py")) if each.with_suffix(".pyc").exists())


def link_second_git(root: Path) -> int:
    """Debian has the program git twice; the bytes that a link saves."""
    program, second = root / "usr/bin/git", root / "usr/lib/git-core/git"
    if not program.is_file() or not second.is_file() or second.is_symlink():
        return 0
    size = remove(second)
    second.symlink_to("../../bin/git")
    return size


def remove(path: Path) -> int:
    """Remove a file, a link or a folder; the bytes that it had. None is no error."""
    if path.is_dir() and not path.is_symlink():
        size = sum(each.lstat().st_size for each in path.rglob("*"))
        shutil.rmtree(path)
        return size
    if not path.is_symlink() and not path.exists():
        return 0
    size = path.lstat().st_size
    path.unlink()
    return size


def main(part: str) -> int:
    root, size = Path("/"), 0
    if part == "site":
        size = sum(map(remove, list(unused_in_site(SITE))))
        size += sum(map(remove, list(compile_only(SITE))))
    elif part == "git":
        size = sum(map(remove, list(unused_in_git(root)))) + link_second_git(root)
    else:
        size = sum(map(remove, list(unused_in_system(root, Path(sysconfig.get_path("stdlib"))))))
    print(f"c8s: removed {size / 1e6:.1f} MB from the {part}")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["site"], ["git"], ["system"]):
        sys.exit("usage: trim.py site|git|system")
    sys.exit(main(sys.argv[1]))
