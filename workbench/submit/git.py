"""Reads repositories with git, without executing anything that their own configuration names.

A folder that was unpacked from an archive can bring a `.git` with it, whose configuration names commands for git to run
(`core.fsmonitor`, hooks, filters, `textconv`, ssh commands, the same in included files). So git does not see that
configuration: it gets a folder in place of the shared part of `.git` (`GIT_COMMON_DIR`) that has links to everything
but the configuration and the hooks, and a configuration with the harmless settings that the files depend on. The
configuration of the user and of the machine applies, for example with the filters of git-lfs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workbench.submit.repository import WorktreeError, repository_root

_TIMEOUT = 120.0
_HIDDEN = ("config", "config.lock", "config.worktree", "hooks")
_HARMLESS_SETTINGS = frozenset(
    f"{section}.{name}"
    for section, names in (
        ("core", "repositoryformatversion filemode symlinks ignorecase precomposeunicode protecthfs protectntfs"),
        ("core", "autocrlf eol safecrlf checkstat trustctime sparsecheckout sparsecheckoutcone excludesfile"),
        ("extensions", "objectformat refstorage noop"),
    )
    for name in names.split()
)
"""Settings of a repository that name no command: how files are stored and compared."""


@dataclass(frozen=True)
class Git:
    """git in one folder of a repository, with the environment that hides its configuration."""

    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a git command; pass it to `communicate` or `output`."""
        return _start(self.folder, self.environment, *arguments)

    def read(self, *arguments: str, given: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes:
        """The standard output of a command that reads `given`. Raises WorktreeError if it fails."""
        with tempfile.TemporaryFile() as file:
            file.write(given)
            file.seek(0)
            process = _start(self.folder, {**self.environment, **(environment or {})}, *arguments, stdin=file)
            output, errors = self.communicate(process)
        if process.returncode != 0:
            message = errors.decode(errors="replace").strip()
            raise WorktreeError(f"git {arguments[0]} failed in {self.folder}: {message}")
        return output

    def communicate(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        """The standard output and standard error of git. Raises WorktreeError if it takes too long."""
        try:
            return process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise WorktreeError(f"git took more than {_TIMEOUT:.0f} s in {self.folder}") from error

    def output(self, process: subprocess.Popen[bytes]) -> bytes:
        """The standard output of git. Raises WorktreeError if it fails."""
        output, errors = self.communicate(process)
        if process.returncode != 0:
            message = errors.decode(errors="replace").strip()
            raise WorktreeError(f"git can't list the files of {self.folder}: {message}")
        return output


@contextmanager
def open_git(folder: Path) -> Iterator[Git]:
    """git in a folder that is in a repository. Raises WorktreeError if the repository is broken."""
    top = repository_root(folder)
    if top is None:
        raise WorktreeError(f"{folder} is not in a git repository")
    own = _own_folder(top)
    shared = _shared_folder(own)
    with tempfile.TemporaryDirectory(prefix="c8s-git-") as temporary:
        replacement = Path(temporary)
        try:
            for entry in os.listdir(shared):  # noqa: PTH208 - names may be no UTF-8
                if entry not in _HIDDEN:
                    (replacement / entry).symlink_to(shared / entry)
        except OSError as error:
            raise WorktreeError(f"{top} is not a git repository: can't read {shared}: {error.strerror}") from error
        environment = _environment()
        settings = _harmless_settings(shared / "config", environment)
        (replacement / "config").write_bytes(b"".join(_config_line(name, value) for name, value in settings))
        environment |= {"GIT_DIR": str(own), "GIT_COMMON_DIR": temporary, "GIT_WORK_TREE": str(top)}
        yield Git(folder, environment)


def _environment() -> dict[str, str]:
    # git sets variables for its hooks that would name another repository or index: GIT_DIR, GIT_INDEX_FILE and others.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _USER_VARIABLES}
    # Do not lock the index: the user may be using git at the same time. Do not fetch from where the repository says.
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


_USER_VARIABLES = (
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES"),
    *("GIT_TRACE", "GIT_TRACE2", "GIT_TRACE_SETUP"),
)
"""The variables of git that users set for all repositories."""


def _start(
    folder: Path, environment: dict[str, str], *arguments: str, stdin: IO[bytes] | int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    # A monitor of the file system, built into git, would be started for the replaced folder.
    fixed = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
    try:
        return subprocess.Popen(
            ["git", *fixed, *arguments],
            cwd=folder,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise WorktreeError(
            f"{folder} is in a git repository, but git is not installed. "
            "Install git, or use --no-source if the steps need no files."
        ) from error


def _own_folder(top: Path) -> Path:
    """The git folder of this working tree: `.git`, or in a submodule or linked working tree where the file says."""
    entry = top / ".git"
    if entry.is_dir():
        return entry.resolve()
    return _named_folder(entry, "gitdir: ")


def _shared_folder(own: Path) -> Path:
    """The git folder with the objects and references: another one in a linked working tree."""
    named = own / "commondir"
    return _named_folder(named, "") if named.is_file() else own


def _named_folder(file: Path, prefix: str) -> Path:
    try:
        named = os.fsdecode(file.read_bytes()[:8192]).rstrip("\r\n")
    except OSError as error:
        raise WorktreeError(f"can't read {file}: {error.strerror}") from error
    if not named.startswith(prefix) or "\0" in named:
        raise WorktreeError(f"{file} does not name the folder of a git repository")
    return (file.parent / named.removeprefix(prefix)).resolve()


def _harmless_settings(config: Path, environment: dict[str, str]) -> list[tuple[str, bytes]]:
    # In the root folder there is no repository whose configuration git would read.
    root = Git(Path(config.anchor), environment)
    process = root.start("config", "--file", str(config), "--no-includes", "--null", "--list")
    listed, errors = root.communicate(process)
    if process.returncode != 0 and config.exists():
        raise WorktreeError(f"git can't read {config}: {errors.decode(errors='replace').strip()}")
    found = []
    for entry in listed.split(b"\0"):
        name, separator, value = entry.partition(b"\n")
        if name.decode(errors="replace") in _HARMLESS_SETTINGS:
            found.append((name.decode(), value if separator else b"true"))
    return found


def _config_line(name: str, value: bytes) -> bytes:
    section, _, key = name.partition(".")
    for character, escape in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n")):
        value = value.replace(character, escape)
    return f"[{section}]\n\t{key} = ".encode() + b'"' + value + b'"\n'
