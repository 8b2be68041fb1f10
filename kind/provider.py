"""Which container engine kind uses: as it was said, as an existing cluster needs it, or the first that answers.

kind itself takes the first program that is installed. An engine that is installed and does not run is passed over here:
Docker is often there without its daemon where Podman is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kind.errors import KindError, ProgramMissingError
from kind.tools.docker_cli import Docker
from kind.tools.engine_info import ENGINE_NAMES, EngineInfo
from kind.tools.kind_cli import PROVIDER_VARIABLE
from kind.tools.process import CommandRunner, run

PROVIDERS = tuple(ENGINE_NAMES)
"""In the order in which they are looked for."""
SETTING = "C8S_KIND_PROVIDER"
_INSTALL = (
    "Install Docker (https://docs.docker.com/get-started/get-docker/) or Podman (https://podman.io), and start it."
)


@dataclass(frozen=True)
class ChosenProvider:
    """The engine to use, what it says of itself, and why it was chosen."""

    program: str
    info: EngineInfo
    why: str


async def choose_provider(
    environment: Mapping[str, str], *, given: str = "", recorded: str = "", run_command: CommandRunner = run
) -> ChosenProvider:
    """The engine for a cluster.

    Args:
        given: what the command line says.
        recorded: the engine of the existing cluster of this name, if there is one.

    Raises:
        KindError: the engine that was asked for does not respond or is another one than that of the cluster, or none
            responds.
    """
    wanted, why = _wanted(environment, given)
    if recorded and wanted and wanted != recorded:
        raise KindError(
            f"the cluster was created with {ENGINE_NAMES[recorded]}, and {why} asks for {ENGINE_NAMES[wanted]}",
            f"Leave {why} out, choose another name with --name, or delete the cluster with `c8s down --delete`.",
        )
    if program := wanted or recorded:
        info = await Docker(run_command, program).info()
        return ChosenProvider(program, info, why if wanted else "the cluster was created with it")
    problems = []
    for program in PROVIDERS:
        try:
            info = await Docker(run_command, program).info()
        except KindError as error:
            problems.append(error)
            continue
        if not info.server_version:
            # The program `docker` of Podman.
            problems.append(KindError(f"`{program}` is not {ENGINE_NAMES[program]}"))
            continue
        others = ", ".join(ENGINE_NAMES[each] for each in PROVIDERS[: len(problems)])
        return ChosenProvider(program, info, f"{others} did not respond" if others else "it is the first that responds")
    present = [error for error in problems if not isinstance(error, ProgramMissingError)]
    if not present:
        raise ProgramMissingError(f"none of {', '.join(PROVIDERS)} is on PATH", _INSTALL)
    raise KindError("; ".join(error.message for error in present), present[0].remedy or _INSTALL)


def _wanted(environment: Mapping[str, str], given: str) -> tuple[str, str]:
    """The engine that was asked for and by what; empty for none. Raises KindError for an unknown one."""
    named = ((given, "--provider"), *((environment.get(each, ""), each) for each in (SETTING, PROVIDER_VARIABLE)))
    for value, why in named:
        if not value:
            continue
        if value not in PROVIDERS:
            raise KindError(f"{why} names {value[:40]!r}", f"Use one of {', '.join(PROVIDERS)}.")
        return value, why
    return "", ""
