"""The folder of a sandbox: its files, its state, and the rule for names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from controller.files import write_private
from workbench.client.endpoint import SandboxError, SandboxNameError

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


def state_root() -> Path:
    """`$XDG_STATE_HOME/c8s`, or the platform's equivalent."""
    # The supervisor uses this module without it.
    import platformdirs

    return Path(platformdirs.user_state_dir("c8s"))


@dataclass(frozen=True)
class SandboxPaths:
    """The paths of a sandbox's files, which only their owner can read."""

    root: Path

    @classmethod
    def named(cls, name: str, state: Path | None = None) -> SandboxPaths:
        if not _NAME.fullmatch(name):
            raise SandboxNameError(
                f"{name!r} is not a valid sandbox name: use up to 32 lower-case letters, digits and dashes, "
                "starting and ending with a letter or digit"
            )
        return cls((state or state_root()) / name)

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def cluster_data(self) -> Path:
        return self.root / "cluster"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def sources(self) -> Path:
        """Sources of runs, unpacked; the agents make it and keep it small."""
        return self.root / "sources"

    @property
    def credentials(self) -> Path:
        return self.root / "credentials"

    @property
    def workbench_token(self) -> Path:
        return self.credentials / "workbench.token"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def start_lock(self) -> Path:
        """Held while a command starts or stops the sandbox."""
        return self.root / "start.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor while it runs; it defines whether the sandbox is running."""
        return self.root / "supervisor.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by all attached clients."""
        return self.root / "users.lock"

    @property
    def keep_marker(self) -> Path:
        """Exists if the sandbox keeps running without attached clients."""
        return self.root / "keep"

    @property
    def version_file(self) -> Path:
        """Contains the version of this folder's layout."""
        return self.root / "state-version"

    @property
    def runtime_file(self) -> Path:
        """Contains what runs the steps."""
        return self.root / "runtime.json"

    @property
    def state_file(self) -> Path:
        return self.root / "sandbox.json"

    def create(self) -> None:
        """Create the folders.

        Raises:
            SandboxError: the disk is full, or the folder belongs to another user.
        """
        try:
            for folder in (self.root, self.cluster_data, self.store, self.credentials, self.logs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            message = f"can't create the sandbox's folder {self.root}: {error.strerror}"
            raise SandboxError(f"{message}; $XDG_STATE_HOME can name another place") from error

    def missing_parents(self) -> tuple[Path, ...]:
        """The folders above this one that `create` would create, the innermost first."""
        return tuple(takewhile(lambda folder: not folder.exists(), self.root.parents))

    def delete(self) -> None:
        if not self.root.exists():
            return
        try:
            shutil.rmtree(self.root)
        except RecursionError:
            # A step that was killed can leave folders that are nested too deeply for Python's stack.
            subprocess.run(["rm", "-rf", "--", str(self.root)], check=True)


@dataclass(frozen=True)
class ChildProcess:
    """A process of the sandbox, as the supervisor last observed it."""

    pid: int
    started: str
    """The start time as the system reports it; together with the pid it identifies the process."""
    restarts: int = 0
    last_exit: str | None = None


@dataclass(frozen=True)
class SandboxState:
    """The content of `sandbox.json`, which the supervisor writes."""

    pid: int
    version: str
    started_at: str
    cluster_port: int
    api_port: int
    children: dict[str, ChildProcess]
    failure: str | None = None
    """Why the sandbox ended by itself; a start would end the same way."""

    @property
    def cluster_url(self) -> str:
        return f"http://127.0.0.1:{self.cluster_port}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"


def _child(raw: dict[str, Any]) -> ChildProcess:
    return ChildProcess(**{name: value for name, value in raw.items() if name in ChildProcess.__dataclass_fields__})


def read_state(folder: SandboxPaths) -> SandboxState | None:
    """The last state written, or None if it is missing or invalid."""
    try:
        raw: dict[str, Any] = json.loads(folder.state_file.read_text())
        children = {name: _child(child) for name, child in raw.pop("children").items()}
        # A newer version may have more fields.
        known = {name: value for name, value in raw.items() if name in SandboxState.__dataclass_fields__}
        return SandboxState(children=children, **known)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_state(folder: SandboxPaths, state: SandboxState) -> None:
    write_private(folder.state_file, json.dumps(asdict(state), indent=1) + "\n")
