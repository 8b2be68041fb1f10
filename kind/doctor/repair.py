"""What `c8s doctor --fix` can repair: limits of inotify, stopped nodes, and what interrupted commands have left.

Only what a record or a label shows to be of c8s is touched. What needs the rights of root, or may belong to another
sandbox folder, is left to the user, with the line to run.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kind.cluster_record import ClusterRecord, matches_record, port_is_free
from kind.doctor.checks import RECOMMENDED_INOTIFY_INSTANCES, RECOMMENDED_INOTIFY_WATCHES
from kind.doctor.host import HostInfo
from kind.errors import KindError
from kind.image.node import IMAGE_ROLE
from kind.tools.docker_cli import Container, Docker
from kind.tools.engine_info import ENGINE_NAMES
from kind.tools.kind_cli import Kind
from kind.tools.process import CommandRunner, run

_SECONDS = 180.0
_INOTIFY_INSTANCES, _INOTIFY_WATCHES = 512, 524288


@dataclass(frozen=True)
class Repair:
    """A problem that can be repaired.

    Attributes:
        command: what repairs it; empty if the user has to run `line`.
        line: the command as a user would type it.
    """

    check: str
    problem: str
    line: str
    command: tuple[str, ...] = ()

    @classmethod
    def by(cls, check: str, problem: str, *command: str) -> Repair:
        """A repair by a program that is shown as it is run."""
        return cls(check, problem, shlex.join(command), command)


class RepairFinder:
    """Finds what can be repaired.

    Args:
        own_command: how this program is started, for repairs by commands of c8s.
        is_root: whether commands run with the rights of root.
    """

    def __init__(
        self,
        run_command: CommandRunner = run,
        *,
        own_command: Sequence[str],
        is_root: bool,
        is_free: Callable[[int], bool] = port_is_free,
    ) -> None:
        self._run = run_command
        self._own_command = tuple(own_command)
        self._is_root = is_root
        self._is_free = is_free

    async def find(self, records: Iterable[ClusterRecord], host: HostInfo) -> list[Repair]:
        """All repairs, in the order in which to do them. Never raises KindError: what can't be asked is left alone."""
        known = list(records)
        found = self._inotify(host)
        for record in known:
            found += await self._cluster(record)
        for program in dict.fromkeys(record.provider for record in known) or ("docker",):
            found += await self._forgotten(program, {record.cluster for record in known})
        return found

    def _inotify(self, host: HostInfo) -> list[Repair]:
        wanted = []
        if host.inotify_instances is not None and host.inotify_instances < RECOMMENDED_INOTIFY_INSTANCES:
            wanted.append(f"fs.inotify.max_user_instances={_INOTIFY_INSTANCES}")
        if host.inotify_watches is not None and host.inotify_watches < RECOMMENDED_INOTIFY_WATCHES:
            wanted.append(f"fs.inotify.max_user_watches={_INOTIFY_WATCHES}")
        if not wanted:
            return []
        problem = f"the limits of inotify are {host.inotify_instances} instances and {host.inotify_watches} watches"
        if self._is_root:
            return [Repair.by("inotify", problem, "sysctl", "-w", *wanted)]
        return [Repair("inotify", f"{problem}; raising them needs root", f"sudo sysctl -w {' '.join(wanted)}")]

    async def _cluster(self, record: ClusterRecord) -> list[Repair]:
        """Repairs of a recorded cluster."""
        docker = Docker(self._run, record.provider)
        try:
            container = await docker.container(record.node)
        except KindError:
            return []
        if container is None:
            return [self._stale_record(record)]
        if not matches_record(record, container):
            # A cluster of the same name that another user created.
            return []
        if not record.container:
            problem = f"the creation of the cluster {record.cluster} was interrupted"
            return [Repair.by("cluster", problem, "kind", "delete", "cluster", "--name", record.cluster)]
        return [] if container.running else [self._stopped_node(record, container)]

    def _stale_record(self, record: ClusterRecord) -> Repair:
        problem = (
            f"the cluster {record.cluster} is gone from {ENGINE_NAMES.get(record.provider, record.provider)}; its "
            f"record still has the ports {record.ports.api} and {record.ports.s3}"
        )
        arguments = ("down", "--name", record.cluster, "--delete")
        return Repair("cluster", problem, shlex.join(("c8s", *arguments)), (*self._own_command, *arguments))

    def _stopped_node(self, record: ClusterRecord, container: Container) -> Repair:
        problem = f"the node {container.name} is stopped (as `c8s down` leaves it)"
        taken = [port for port in (record.ports.api, record.ports.s3) if not self._is_free(port)]
        if taken:
            problem += f", and another program listens on its port {', '.join(map(str, taken))}: end that program first"
            return Repair("node", problem, shlex.join((record.provider, "start", container.name)))
        return Repair.by("node", problem, record.provider, "start", container.name)

    async def _forgotten(self, program: str, known: set[str]) -> list[Repair]:
        """Clusters with a node image of c8s and without a record here: they may be of another folder of sandboxes."""
        docker = Docker(self._run, program)
        found = []
        try:
            for name in await Kind(self._run, program).clusters():
                container = None if name in known else await docker.container(f"{name}-control-plane")
                if container is not None and container.role == IMAGE_ROLE.partition("=")[2]:
                    problem = f"the cluster {name} is of c8s, but has no record here; it may be used from elsewhere"
                    found.append(Repair("cluster", problem, shlex.join(("kind", "delete", "cluster", "--name", name))))
        except KindError:
            return []
        return found

    async def apply(self, repair: Repair) -> str | None:
        """Run the command of a repair; why it failed, as a sentence, or None."""
        try:
            result = await self._run(repair.command, timeout=_SECONDS)
        except KindError as error:
            return str(error)
        return str(result.to_error()) if result.code else None
