"""Runs a command or a shell in a running step: one WebSocket between the client and Kubernetes' `pods/exec`.

Bytes are passed through; none are kept or logged. Either side waits for the other, so a slow one costs no memory. When
the user's permission is revoked, the connection is closed, and Kubernetes ends the command with it.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from controller import labels
from controller.api.artifacts.keys import find_step
from controller.api.auth.authorize import Reauthorize, authorize_websocket
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.openapi import describe_websocket, query, query_list
from controller.api.routes.run.logs import CONTAINER_PATTERN
from controller.api.runs.find import find_run
from controller.api.state import AppState, get_state
from controller.api.streaming.log_session import GOING_AWAY, NORMAL, POLICY
from controller.kube import JOBS, PODS, ApiError, KubeError
from controller.kube.exec import ExecOutput, ExecStream, ExitStatus, execute
from controller.operator.cache.owned_resources import controller_uid, is_attempt_job
from controller.run_types.keys import RunKey

DEFAULT_COMMAND = ("sh",)
MAX_WORDS = 200
MAX_TERMINAL_SIZE = 10_000

log = logging.getLogger("c8s.api")

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}", tags=["runs"], route_class=GuardedRoute)
Word = Annotated[str, Query(max_length=16_384)]
Size = Annotated[int | None, Query(ge=1, le=MAX_TERMINAL_SIZE)]


@router.websocket("/steps/{step}/exec", name="execStep")
@describe_websocket(
    description="A WebSocket: a command in a container of a running step. docs/api.md shows frames.",
    tag="runs",
    path=("ns", "run", "step"),
    query=[
        query_list("command", "the command, a word each time; none: `sh`"),
        query("container", type="string", default="step"),
        query("tty", type="boolean", default=False),
        query("columns", type="integer", minimum=1, maximum=MAX_TERMINAL_SIZE),
        query("rows", type="integer", minimum=1, maximum=MAX_TERMINAL_SIZE),
    ],
)
async def exec_step(
    socket: WebSocket,
    ns: str,
    run: str,
    step: str,
    command: Annotated[list[Word] | None, Query(max_length=MAX_WORDS)] = None,
    container: Annotated[str, Query(pattern=CONTAINER_PATTERN)] = "step",
    tty: bool = False,
    columns: Size = None,
    rows: Size = None,
    ticket: Annotated[str | None, Query(max_length=200)] = None,
) -> None:
    """Runs a command in a container of the step's pod, `sh` by default (docs/api.md shows the frames)."""
    state = get_state(socket)
    still_admitted = await authorize_websocket(socket, "execStep", ticket)
    found = await find_run(state, ns, run)
    pod = str((await find_step_pod(state, found, step))["metadata"]["name"])
    words = tuple(command or DEFAULT_COMMAND)
    try:
        async with contextlib.AsyncExitStack() as stack:
            stream = await stack.enter_async_context(
                execute(state.client, ns, pod, container, words, stdin=True, tty=tty)
            )
            fields = {"namespace": ns, "run": run, "pod": pod, "container": container, "user": socket.state.user.name}
            log.info("exec started", extra=fields)
            if tty and columns is not None and rows is not None:
                await stream.resize(columns, rows)
            await socket.accept()
            state.metrics.change_subscribers("exec", +1)
            stack.callback(state.metrics.change_subscribers, "exec", -1)
            await _ExecSession(socket, stream, still_admitted, state).run()
    except ApiError as error:
        raise _exec_problem(error, str(step), container) from error


async def find_step_pod(state: AppState, run: Mapping[str, Any], step: str) -> Mapping[str, Any]:
    """The running pod of the step's last attempt, read from Kubernetes: a run's status is written a moment later."""
    status = find_step(run, step)
    name = str(run["metadata"]["name"])
    if status is None:
        raise ApiProblemError("not-found", f"the run {name} has no such step")
    selector = f"{labels.RUN}={name},{labels.STEP}={status['slug']}"
    namespace, uid = str(run["metadata"]["namespace"]), str(run["metadata"]["uid"])
    pods = (await state.client.list(PODS, namespace=namespace, label_selector=selector))["items"]
    jobs = (await state.client.list(JOBS, namespace=namespace, label_selector=selector))["items"]
    # Labels and names can be given to any pod.
    own_jobs = {job["metadata"]["uid"] for job in jobs if is_attempt_job(job, RunKey(namespace, name), uid)}
    pod = newest_running(pod for pod in pods if controller_uid(pod, "Job") in own_jobs)
    if pod is None:
        raise ApiProblemError("conflict", f"the step {status['slug']} has no running pod")
    return pod


def newest_running(pods: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The running pod of the last attempt."""
    found = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
    return max(found, key=_attempt_and_name, default=None)


def _attempt_and_name(pod: Mapping[str, Any]) -> tuple[int, str]:
    number = (pod["metadata"].get("labels") or {}).get(labels.ATTEMPT)
    return int(str(number or 0)), str(pod["metadata"]["name"])


def _exec_problem(error: ApiError, step: str, container: str) -> Exception:
    """Kubernetes refuses containers that don't run; other errors are reported as for any call."""
    if error.status in (400, 404, 409, 500):
        return ApiProblemError("conflict", f"the container {container} of this step is not running")
    return error


class _ExecSession:
    """The session between the client's WebSocket and the command, until either ends or the permission is revoked."""

    def __init__(self, socket: WebSocket, stream: ExecStream, still_admitted: Reauthorize, state: AppState) -> None:
        self._socket = socket
        self._stream = stream
        self._still_admitted = still_admitted
        self._state = state

    async def run(self) -> None:
        """Returns when the session is over: the first part that ends, ends the others."""
        parts = (self._forward_output(), self._receive(), self._reauthorize_periodically(), self._wait_for_shutdown())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        for task in done:
            if not task.cancelled() and task.result() is not None:
                await self._close(int(task.result() or NORMAL))

    async def _forward_output(self) -> int | None:
        try:
            async with contextlib.aclosing(self._stream.output()) as output:
                async for each in output:
                    await self._send_output(each)
        except KubeError as error:
            log.info("exec connection failed", extra={"cause": type(error).__name__})
            await self._send_frame({"type": "error", "detail": "the connection to the container was lost"})
        except (WebSocketDisconnect, RuntimeError):
            return None
        return NORMAL

    async def _send_output(self, each: ExecOutput | ExitStatus) -> None:
        if isinstance(each, ExecOutput):
            await self._socket.send_bytes(bytes([each.channel]) + each.data)
            self._state.metrics.add_sent_bytes("exec", len(each.data))
        elif each.code is not None:
            await self._send_frame({"type": "exit", "code": each.code})
        else:
            await self._send_frame({"type": "error", "detail": each.message})

    async def _send_frame(self, frame: Mapping[str, Any]) -> None:
        await self._socket.send_text(json.dumps(frame, separators=(",", ":")))

    async def _receive(self) -> None:
        """Forwards the client's input; returns when the client is gone, waits when the command no longer listens."""
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("bytes") is not None:
                    await self._stream.write(message["bytes"])
                elif message.get("text") is not None:
                    await self._handle_control(message["text"])
        except KubeError:
            # The other direction reports the end.
            await asyncio.Event().wait()

    async def _handle_control(self, text: str) -> None:
        match parse_control(text):
            case ("resize", columns, rows):
                await self._stream.resize(columns, rows)
            case ("eof", _, _):
                await self._stream.close_stdin()
            case _:
                pass

    async def _reauthorize_periodically(self) -> int:
        while True:
            await asyncio.sleep(self._state.settings.heartbeat_seconds)
            if not await self._still_admitted():
                return POLICY

    async def _wait_for_shutdown(self) -> int:
        await self._state.watch_cache.wait_closed()
        return GOING_AWAY

    async def _close(self, code: int) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(code)


def parse_control(text: str) -> tuple[str, int, int] | None:
    """`resize` with columns and rows, or `eof`; None for anything else, which is ignored."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match frame:
        case {"type": "resize", "columns": int(columns), "rows": int(rows)} if (
            1 <= columns <= MAX_TERMINAL_SIZE and 1 <= rows <= MAX_TERMINAL_SIZE
        ):
            return ("resize", columns, rows)
        case {"type": "eof"}:
            return ("eof", 0, 0)
    return None
