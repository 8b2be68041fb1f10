"""Checks of the container engines that can run the steps of an embedded sandbox, for `c8s doctor`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kind.doctor.finding import GIB, Finding

if TYPE_CHECKING:
    from embedded.kubelet.runtime.engine.connection.detect import EngineFacts, FoundEngine

_WHY = "Docker or Podman runs the steps of an embedded sandbox in their images; without one, images are ignored."
_MIN_DISK = 3 * GIB
_REMEDIES = {
    "docker": "Start Docker (`sudo systemctl start docker`, or Docker Desktop), or name its socket in DOCKER_HOST.",
    "podman": "Start its service (`systemctl --user start podman.socket`), or name its socket in CONTAINER_HOST.",
}
_NO_RIGHTS = (
    "Add your user to the group of the socket (`sudo usermod -aG docker $USER`, then log in again; the group has the "
    "rights of root), or use a rootless engine."
)
_CERTIFICATES = (
    "Name the folder with the engine's ca.pem, and your cert.pem and key.pem, in DOCKER_CERT_PATH, or choose another "
    "context with `docker context use`."
)


def check_engines() -> list[Finding]:
    """One finding for each engine; that one is missing is a warning only if the other is missing too."""
    from embedded.kubelet.runtime.engine.connection.address import ENGINES
    from embedded.kubelet.runtime.engine.connection.detect import find_engine
    from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

    found: list[FoundEngine] = []
    missing: dict[str, str] = {}
    for engine in ENGINES:
        try:
            found.append(find_engine(engine, os.environ, Path.home()))
        except RuntimeUnavailableError as error:
            missing[engine] = str(error)
    findings = [_check(each, is_used=each is found[0]) for each in found]
    for name, why in missing.items():
        remedy = _remedy(name, why)
        findings.append(Finding("engine", "ok" if found else "warning", why, _WHY, "" if found else remedy))
    return [*findings, *check_logins(os.environ, Path.home())] if found else findings


def check_logins(environment: Mapping[str, str], home: Path) -> list[Finding]:
    """One finding for each program that holds logins for registries and is missing; they are asked before each pull."""
    from embedded.kubelet.runtime.engine.images.credentials import login_files, missing_helpers

    return [
        Finding(
            "logins",
            "warning",
            f"{program}, which {file} names, is not in PATH",
            "It holds logins for registries; without it, private images can't be pulled.",
            f"Install it, or remove its name from {file} and log in again (`docker login`, `podman login`).",
        )
        for program, file in missing_helpers(login_files(environment, home)).items()
    ]


def _remedy(engine: str, why: str) -> str:
    if "Permission denied" in why:
        return _NO_RIGHTS
    return _CERTIFICATES if "certificate" in why or "TLS failed" in why else _REMEDIES[engine]


def _check(found: FoundEngine, *, is_used: bool) -> Finding:
    from embedded.kubelet.runtime.engine.connection.detect import prepare_engine, read_facts
    from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

    name = f"{found.info.name} {found.info.version} at {found.address}"
    try:
        # As in a sandbox: below the user's folders, which an engine in a virtual machine may not see.
        with tempfile.TemporaryDirectory(dir=Path.home(), prefix=".c8s-doctor-") as folder:
            prepared = prepare_engine(found.address, Path(folder), "auto")
        facts = read_facts(found.address)
    except (RuntimeUnavailableError, OSError) as error:
        return Finding("engine", "warning", f"{name} can't be used: {error}", _WHY, "See the message.")
    words = [name, "rootless" if facts.rootless else "with the rights of root", f"cgroup v{facts.cgroups}"]
    if prepared.has_own_files:
        words.append("with files of its own: sources and artifacts go through a container (slower)")
    problem, remedy = _problem(facts)
    if is_used:
        words.append("used by `c8s up` unless --runtime says otherwise")
    return Finding("engine", "warning" if problem else "ok", ", ".join([*words, *problem]), _WHY, remedy)


def _problem(facts: EngineFacts) -> tuple[list[str], str]:
    if not facts.enforces_limits:
        return ["memory and CPU limits have no effect"], (
            "Delegate the cgroup controllers memory and cpu to the engine; for a rootless one, see "
            "https://rootlesscontaine.rs/getting-started/common/cgroup2/."
        )
    free = facts.disk_free()
    if free is not None and free < _MIN_DISK:
        return [f"{free / GIB:.1f} GiB free for images"], ("Free some space, for example with `docker image prune`.")
    return [], ""
