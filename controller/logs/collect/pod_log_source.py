"""The log of a container as Kubernetes serves it: the implementation of `LogSource`."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from controller.kube import PODS, ApiError, KubeError, NotFoundError, Resource
from controller.logs.collect.source import ContainerState
from controller.logs.errors import ContainerNotStartedError, PodGoneError, StreamBrokenError
from controller.logs.model import UNKNOWN_TIME
from controller.logs.timestamps import parse_timestamp

_STATUS_FIELDS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


class LogClient(Protocol):
    """The part of the Kubernetes client that is used here."""

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Reads one object."""
        ...

    def stream_log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = True,
        since_time: str | None = None,
        timestamps: bool = True,
    ) -> AsyncGenerator[bytes, None]:
        """Streams a container's log in chunks."""
        ...


class PodId(NamedTuple):
    """Identifies a pod within its namespace: its name may be used again, its uid is not."""

    name: str
    uid: str


class PodLogSource:
    """The log of one container of one pod. Another pod of the same name is not read: its state is `gone`."""

    def __init__(self, client: LogClient, namespace: str, pod: PodId, container: str) -> None:
        self._client = client
        self._namespace = namespace
        self._pod = pod
        self._container = container

    async def stream(self, since: str | None) -> AsyncGenerator[bytes, None]:
        """See LogSource."""
        chunks = self._client.stream_log(
            self._namespace, self._pod.name, self._container, follow=True, since_time=since, timestamps=True
        )
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        except NotFoundError as problem:
            raise PodGoneError(str(problem)) from None
        except ApiError as problem:
            if problem.status == 400:
                raise ContainerNotStartedError(str(problem)) from None
            raise StreamBrokenError(str(problem)) from None
        except KubeError as problem:
            raise StreamBrokenError(str(problem)) from None

    async def state(self) -> ContainerState:
        """See LogSource."""
        try:
            pod = await self._client.get(PODS, self._pod.name, self._namespace)
        except NotFoundError:
            return ContainerState("gone")
        except KubeError as problem:
            raise StreamBrokenError(str(problem)) from None
        if pod["metadata"].get("uid") != self._pod.uid:
            return ContainerState("gone")
        return container_state(pod, self._container)


def container_state(pod: Mapping[str, Any], container: str) -> ContainerState:
    """The state of a container according to its pod's status."""
    status = pod.get("status") or {}
    over = status.get("phase") in ("Succeeded", "Failed")
    for name in _STATUS_FIELDS:
        for each in status.get(name) or ():
            if each.get("name") == container:
                found = _state(each)
                if found is not None:
                    return replace(found, phase="never") if over and found.phase == "waiting" else found
    return ContainerState("never" if over else "waiting")


def _state(status: Mapping[str, Any]) -> ContainerState | None:
    state = status.get("state") or {}
    restarts = int(status.get("restartCount") or 0)
    latest = state.get("running") or state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    started = parse_timestamp(str(latest.get("startedAt") or "").encode())
    started_at = None if started == UNKNOWN_TIME else started
    if "terminated" in state:
        code = (state["terminated"] or {}).get("exitCode")
        return ContainerState("terminated", None if code is None else int(code), restarts, started_at)
    if "running" in state:
        return ContainerState("running", None, restarts, started_at)
    return ContainerState("waiting", None, restarts, started_at) if restarts else None
