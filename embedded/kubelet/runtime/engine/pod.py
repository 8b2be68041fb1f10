"""The containers of one pod in an engine, and the network that they share.

A pod whose only container is never restarted has the network of that container. Any other pod has one more container
that holds the network while the others come and go, as on a node; it costs as much as the start of another container.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedded.kubelet.config.downward_api import LOOPBACK
from embedded.kubelet.config.environment import ConfigError
from embedded.kubelet.runtime.engine.containers.container import EngineContainer, network_address, remove_container
from embedded.kubelet.runtime.engine.containers.spec import EngineOptions, Placement, container_body
from embedded.kubelet.runtime.engine.engine import Engine
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.pause.program import PROGRAM
from embedded.kubelet.runtime.interface import (
    Image,
    Launch,
    PodRuntime,
    PodSandbox,
    RuntimeContainer,
    SandboxError,
    StartError,
)
from embedded.kubelet.runtime.termination_message import TerminationMessage

Json = dict[str, Any]

_log = logging.getLogger(__name__)

_POD_FIELDS = ("status.podIP", "status.podIPs")


class EnginePod:
    """See `embedded.kubelet.runtime.interface.PodRuntime`.

    Args:
        processes: runs the containers that are processes of this machine.
        is_process: whether a container, by its spec, is one.
    """

    def __init__(
        self, engine: Engine, sandbox: PodSandbox, processes: PodRuntime, is_process: Callable[[Json], bool]
    ) -> None:
        self._engine = engine
        self._sandbox = sandbox
        self._processes = processes
        self._is_process = is_process
        self._labels = engine.pod_labels(sandbox.pod)
        self._pause = ""
        """The identifier of the container that holds the network; empty if there is none."""
        self._created: dict[str, EngineContainer] = {}
        """By identifier."""
        spec = sandbox.pod["spec"]
        containers = [*(spec.get("initContainers") or []), *spec["containers"]]
        self._own = [each for each in containers if not is_process(each)]
        # Without an address of its own, a pod has the machine's.
        self._address = LOOPBACK if spec.get("hostNetwork") or not self._own else ""
        self._volume = engine.volume(sandbox.pod, sandbox.folder) if engine.has_own_files and self._own else None
        self._unanswered: set[str] = set()
        """Names of containers that were asked for, and may exist although no answer came."""

    @property
    def address(self) -> str:
        """The pod's IP address; empty while it has none."""
        if self._address or not self._created:
            return self._address
        return next(iter(self._created.values())).address

    def needs_image(self, container: Json) -> bool:
        """See `PodRuntime`."""
        return not self._is_process(container)

    async def find_image(self, image: str) -> Image | None:
        """See `PodRuntime`."""
        found = await self._engine.images.find(image)
        return None if found is None else Image(found.reported_id, found.size)

    async def pull_image(self, image: str, secrets: list[Json]) -> Image:
        """See `PodRuntime`."""
        found = await self._engine.images.pull(image, secrets)
        return Image(found.reported_id, found.size)

    async def prepare(self) -> None:
        """See `PodRuntime`."""
        if not self._needs_pause() or self._pause:
            return
        spec = self._sandbox.pod["spec"]
        body: Json = {
            "Image": self._engine.pause_image,
            "Entrypoint": [PROGRAM],
            "Cmd": [],
            "Hostname": self._hostname(),
            "Labels": {**self._labels, "io.kubernetes.container.name": "POD"},
            "HostConfig": {
                "NetworkMode": "host" if spec.get("hostNetwork") else "default",
                "IpcMode": "shareable",
                "LogConfig": {"Type": "none"},
                "CapDrop": ["ALL"],
                "ReadonlyRootfs": True,
                "SecurityOpt": [*self._engine.security, "no-new-privileges"],
                "ExtraHosts": [*self._engine.hosts, *_hosts(spec)],
            },
        }
        try:
            if self._volume is not None:
                await self._volume.create()
                body["HostConfig"]["Mounts"] = [self._volume.mount]
            self._pause = await self._create(self._name("POD"), body)
            await self._engine.client.post(f"/containers/{self._pause}/start")
            found = await self._engine.client.get(f"/containers/{self._pause}/json")
            if self._volume is not None:
                await self._volume.send(self._pause, self._prepared_folders())
        except (EngineError, EngineUnreachableError, OSError) as error:
            await self._remove_pause()
            raise SandboxError(f"can't make the pod's network and volumes: {error}") from error
        self._address = self._address or network_address(found)

    def _prepared_folders(self) -> list[Path]:
        """What the kubelet has made for the pod before its first container."""
        messages = self._sandbox.folder / "messages"
        messages.mkdir(mode=0o700, exist_ok=True)
        return [folder for folder in (messages, self._sandbox.folder / "volumes") if folder.exists()]

    def _needs_pause(self) -> bool:
        """Whether the network has to outlive a container, or its address must be known before the first starts."""
        spec = self._sandbox.pod["spec"]
        if self._volume is not None:
            # What is in it goes through this container.
            return True
        if not self._engine.reaches_pods and any(_names_port(each) for each in self._own):
            # Ports are reached through it.
            return True
        if spec.get("hostNetwork") and not spec.get("shareProcessNamespace"):
            return False
        restarts = spec.get("restartPolicy") != "Never" or any(each.get("restartPolicy") for each in self._own)
        names_address = any(field in json.dumps(self._own) for field in _POD_FIELDS)
        return bool(self._own) and (
            len(self._own) > 1 or restarts or names_address or bool(spec.get("shareProcessNamespace"))
        )

    async def create(self, launch: Launch) -> RuntimeContainer:
        """See `PodRuntime`."""
        if self._is_process(launch.spec):
            return await self._processes.create(launch)
        try:
            image = await self._engine.images.find(str(launch.spec.get("image") or ""))
            if image is None:
                raise ConfigError(f'image "{launch.spec.get("image")}" is no longer there')
            message = TerminationMessage.of(launch.spec, launch.mounts, self._sandbox.folder)
            files = {}
            if message.path and message.file is not None:
                # The container's user is not known here.
                message.file.chmod(0o666)
                files[message.path] = message.file
            if self._volume is not None:
                self._check_parts(launch)
                await self._volume.send(self._pause, files.values())
            labels = {**self._labels, "io.kubernetes.container.name": launch.name}
            locate = str if self._volume is None else self._volume.locate
            options = EngineOptions(labels, self._engine.security, files, locate)
            body = container_body(launch, self._sandbox.pod, image, self._placement(), options)
            identifier = await self._create(self._name(launch.name, launch.restarts), body)
        except (EngineError, EngineUnreachableError) as error:
            raise StartError(str(error)) from error
        container = EngineContainer(
            self._engine.client,
            identifier,
            image,
            message,
            self._address or None,
            self._on_end(launch, message),
            None if self._engine.reaches_pods else self._pause,
        )
        self._created[identifier] = container
        return container

    async def _create(self, name: str, body: Json) -> str:
        self._unanswered.add(name)
        identifier = await self._engine.create(name, body)
        self._unanswered.discard(name)
        return identifier

    def _check_parts(self, launch: Launch) -> None:
        """Refuse a part of a volume that containers write to: on the engine's disk, it could be a link to anywhere.

        Raises:
            ConfigError: there is one.
        """
        writable = {each["name"] for each in self._sandbox.pod["spec"].get("volumes") or [] if "emptyDir" in each}
        for mount in launch.spec.get("volumeMounts") or []:
            if mount["name"] in writable and (mount.get("subPath") or mount.get("subPathExpr")):
                raise ConfigError(
                    f"a subPath of the emptyDir {mount['name']} can't be used with an engine that has files of its own"
                )

    def _on_end(self, launch: Launch, message: TerminationMessage) -> Callable[[], Any]:
        """What to do when a container has ended: what it wrote has to be read here."""
        return self._fetch_message(message) if self._volume is not None else self._take_over(launch)

    def _fetch_message(self, message: TerminationMessage) -> Callable[[], Any]:
        async def fetch() -> None:
            if self._volume is None or message.file is None:
                return
            try:
                content = await self._volume.fetch(self._pause, message.file)
            except (EngineError, EngineUnreachableError) as error:
                _log.warning("the termination message of a container of pod %s is lost: %s", self._sandbox.uid, error)
                return
            message.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            message.file.write_bytes(content)

        return fetch

    def _take_over(self, launch: Launch) -> Callable[[], Any]:
        """Processes of this pod have to read what a container wrote."""

        async def take_over() -> None:
            spec = self._sandbox.pod["spec"]
            everything = [*(spec.get("initContainers") or []), *spec["containers"]]
            if len(self._own) < len(everything):
                for mount in launch.mounts:
                    if not mount.read_only:
                        await self._engine.take_over(mount.source)

        return take_over

    def _placement(self) -> Placement:
        spec = self._sandbox.pod["spec"]
        pid = f"container:{self._pause}" if self._pause and spec.get("shareProcessNamespace") else ""
        pid = "host" if spec.get("hostPID") else pid
        ipc = "host" if spec.get("hostIPC") else f"container:{self._pause}" if self._pause else ""
        if spec.get("hostNetwork"):
            return Placement("host", ipc=ipc, pid=pid)
        if self._pause:
            # Docker takes the name of the other container, and refuses one; Podman does neither.
            hostname = self._hostname() if self._engine.client.info.name == "podman" else ""
            return Placement(f"container:{self._pause}", hostname, ipc, pid)
        return Placement("default", self._hostname(), ipc, pid, [*self._engine.hosts, *_hosts(spec)])

    def _hostname(self) -> str:
        pod = self._sandbox.pod
        if pod["spec"].get("hostNetwork"):
            return ""
        # Linux allows 63 characters; a pod's name may be longer.
        return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")

    def _name(self, container: str, restarts: int = 0) -> str:
        return self._engine.container_name(self._sandbox.pod, container, restarts)

    async def close(self) -> None:
        """See `PodRuntime`."""
        for identifier in list(self._created):
            if not self._created.pop(identifier).is_removed:
                await remove_container(self._engine.client, identifier)
        for name in self._unanswered:
            await remove_container(self._engine.client, name)
        await self._remove_pause()
        if self._volume is not None:
            try:
                await self._volume.remove()
            except (EngineError, EngineUnreachableError) as error:
                _log.warning("the volume of pod %s can't be removed: %s", self._sandbox.uid, error)
        await self._processes.close()

    async def _remove_pause(self) -> None:
        pause, self._pause = self._pause, ""
        if pause:
            await remove_container(self._engine.client, pause)


def _hosts(spec: Json) -> list[str]:
    return [f"{name}:{alias['ip']}" for alias in spec.get("hostAliases") or [] for name in alias.get("hostnames") or []]


def _names_port(container: Json) -> bool:
    """Whether a probe or hook of a container connects to the pod."""
    actions = [container.get(name) for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    actions += list((container.get("lifecycle") or {}).values())
    ports = [(action or {}).get(kind) for action in actions for kind in ("tcpSocket", "httpGet", "grpc")]
    return any(port is not None and not port.get("host") for port in ports)
