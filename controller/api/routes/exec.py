"""A command inside a running step, or a shell: one WebSocket between a person's terminal and Kubernetes' `pods/exec`.

Bytes are handed through as they are and nothing of them is kept or logged. Either side waits for the other, so a slow
one costs no memory. A person whose right is taken away loses the connection, and Kubernetes ends the command with it.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from controller.api.artifacts.keys import step_of
from controller.api.auth.permissions import GuardedRoute, admit_socket
from controller.api.http.problems import ApiProblem
from controller.api.routes.logs import CONTAINER
from controller.api.routes.runs import find_run
from controller.api.serializers import ATTEMPT_LABEL, RUN_LABEL, STEP_LABEL
from controller.api.state import Services, services_of
from controller.api.streaming.log_session import GOING_AWAY, NORMAL, POLICY
from controller.api.streaming.sse import StillAdmitted
from controller.kube import PODS, ApiError, KubeError
from controller.kube.exec import ExecStream, Exit, Output, execute

SHELL = ("sh",)
WORDS = 200
LARGEST = 10_000

log = logging.getLogger("c8s.api")

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}", tags=["runs"], route_class=GuardedRoute)
Word = Annotated[str, Query(max_length=16_384)]
Size = Annotated[int | None, Query(ge=1, le=LARGEST)]


@router.websocket("/steps/{step}/exec", name="execStep")
async def exec_step(
    socket: WebSocket,
    ns: str,
    run: str,
    step: str,
    command: Annotated[list[Word] | None, Query(max_length=WORDS)] = None,
    container: Annotated[str, Query(pattern=CONTAINER)] = "step",
    tty: bool = False,
    columns: Size = None,
    rows: Size = None,
    ticket: Annotated[str | None, Query(max_length=200)] = None,
) -> None:
    """Runs a command in a container of the step's pod, `sh` unless told otherwise (docs/api.md shows the frames)."""
    services = services_of(socket)
    still_admitted = await admit_socket(socket, "execStep", ticket)
    found = await find_run(services, ns, run)
    pod = await _pod(services, found, step)
    words = tuple(command or SHELL)
    try:
        async with contextlib.AsyncExitStack() as stack:
            stream = await stack.enter_async_context(
                execute(services.client, ns, pod, container, words, stdin=True, tty=tty)
            )
            who = {"namespace": ns, "run": run, "pod": pod, "container": container, "user": socket.state.user.name}
            log.info("a command begins", extra=who)
            if tty and columns is not None and rows is not None:
                await stream.resize(columns, rows)
            await socket.accept()
            services.meter.subscribed("exec", +1)
            stack.callback(services.meter.subscribed, "exec", -1)
            await _Conversation(socket, stream, still_admitted, services).run()
    except ApiError as error:
        raise _refused(error, str(step), container) from error


async def _pod(services: Services, run: Mapping[str, Any], step: str) -> str:
    """The pod of the step's last attempt, asked of Kubernetes: a run's status is written a moment later."""
    status = step_of(run, step)
    name = str(run["metadata"]["name"])
    if status is None:
        raise ApiProblem("not-found", f"the run {name} has no such step")
    labels = f"{RUN_LABEL}={name},{STEP_LABEL}={status['slug']}"
    pods = await services.client.list(PODS, namespace=str(run["metadata"]["namespace"]), label_selector=labels)
    pod = newest_running(pods["items"])
    if pod is None:
        raise ApiProblem("conflict", f"the step {status['slug']} does not run: it has no pod that does")
    return pod


def newest_running(pods: Iterable[Mapping[str, Any]]) -> str | None:
    """The running pod of the last attempt."""
    found = [
        (int(str((pod["metadata"].get("labels") or {}).get(ATTEMPT_LABEL) or 0)), str(pod["metadata"]["name"]))
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Running"
    ]
    return max(found)[1] if found else None


def _refused(error: ApiError, step: str, container: str) -> Exception:
    """Kubernetes refuses what does not run; everything else is told as it is from any other call."""
    if error.status in (400, 404, 409, 500):
        return ApiProblem("conflict", f"the container {container} of this step does not run (any more)")
    return error


class _Conversation:
    """Between the person's socket and the command, until either ends or the right does."""

    def __init__(
        self, socket: WebSocket, stream: ExecStream, still_admitted: StillAdmitted, services: Services
    ) -> None:
        self._socket = socket
        self._stream = stream
        self._still_admitted = still_admitted
        self._services = services

    async def run(self) -> None:
        """Returns when it is over. The first part that ends, ends the others."""
        parts = (self._tell(), self._hear(), self._guard(), self._process_ends())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        for task in done:
            if not task.cancelled() and task.result() is not None:
                await self._close(int(task.result() or NORMAL))

    async def _tell(self) -> int | None:
        try:
            async with contextlib.aclosing(self._stream.output()) as output:
                async for each in output:
                    await self._send(each)
        except KubeError as error:
            log.info("a command's connection broke off", extra={"cause": type(error).__name__})
            await self._say({"type": "error", "detail": "the connection to the container broke off"})
        except (WebSocketDisconnect, RuntimeError):
            return None
        return NORMAL

    async def _send(self, each: Output | Exit) -> None:
        if isinstance(each, Output):
            await self._socket.send_bytes(bytes([each.channel]) + each.data)
            self._services.meter.sent("exec", len(each.data))
        elif each.code is not None:
            await self._say({"type": "exit", "code": each.code})
        else:
            await self._say({"type": "error", "detail": each.message})

    async def _say(self, frame: Mapping[str, Any]) -> None:
        await self._socket.send_text(json.dumps(frame, separators=(",", ":")))

    async def _hear(self) -> None:
        """What the person types; None when they are gone, and also when the command no longer listens."""
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("bytes") is not None:
                    await self._stream.write(message["bytes"])
                elif message.get("text") is not None:
                    await self._act(message["text"])
        except KubeError:
            # Its end is told by the other direction.
            await asyncio.Event().wait()

    async def _act(self, text: str) -> None:
        match wish_of(text):
            case ("resize", columns, rows):
                await self._stream.resize(columns, rows)
            case ("eof", _, _):
                await self._stream.end_input()
            case _:
                pass

    async def _guard(self) -> int:
        while True:
            await asyncio.sleep(self._services.settings.heartbeat_seconds)
            if not await self._still_admitted():
                return POLICY

    async def _process_ends(self) -> int:
        await self._services.history.ended()
        return GOING_AWAY

    async def _close(self, code: int) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(code)


def wish_of(text: str) -> tuple[str, int, int] | None:
    """`resize` with columns and rows, or `eof`; None for what is neither, which is passed over."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match frame:
        case {"type": "resize", "columns": int(columns), "rows": int(rows)} if (
            1 <= columns <= LARGEST and 1 <= rows <= LARGEST
        ):
            return ("resize", columns, rows)
        case {"type": "eof"}:
            return ("eof", 0, 0)
    return None
