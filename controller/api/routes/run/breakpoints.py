"""Breakpoints: where steps of a run are held, and how a held one goes on.

A held step is released by a process of the agent in its own pod: no agent has to ask whether it may go on.
"""

import asyncio
import contextlib
import logging

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api import serializers
from controller.api.artifacts.keys import find_step
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import runs as models
from controller.api.routes.run.exec import find_step_pod
from controller.api.runs.find import find_run
from controller.api.runs.request import check_breakpoints
from controller.api.state import AppState, get_state
from controller.kube import PIPELINE_RUNS, ApiError
from controller.kube.exec import ExitStatus, execute
from controller.operator.names import AGENT_CONTAINER
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.run_types.reasons import StepReason

_NOT_HELD_EXIT_CODE = 4
"""Of the agent, for a step that does not wait, or not so that the action is possible."""
_EXEC_SECONDS = 20.0
_SIGNAL_EXIT_CODE = 128
"""Exit codes above it are of processes that a signal has ended."""
_STATUS_CHECKS, _STATUS_INTERVAL = 30, 0.1
"""How often, and at what interval in seconds, it is looked whether a step has gone on."""

log = logging.getLogger("c8s.api")

router = APIRouter(prefix="/api/v1/namespaces/{ns}/runs/{run}", tags=["runs"], route_class=GuardedRoute)


@router.put("/breakpoints", operation_id="setBreakpoints", response_model=models.Run)
async def set_breakpoints(request: Request, ns: str, run: str, body: models.BreakpointsRequest) -> Response:
    """Replaces the breakpoints of a run. A step that has started keeps those that it had then."""
    state = get_state(request)
    found = await find_run(state, ns, run)
    if serializers.phase_of(found) in FINAL_RUN_PHASES:
        raise ApiProblemError("conflict", f"the run {run} has ended already ({serializers.phase_of(found)})")
    wanted = check_breakpoints((found.get("spec") or {}).get("pipeline") or {}, body.breakpoints)
    patch = {"spec": {"breakpoints": wanted or None}, "metadata": {"uid": found["metadata"]["uid"]}}
    changed = await state.client.patch(PIPELINE_RUNS, run, patch, namespace=ns)
    return JSONResponse(serializers.serialize_run(changed, definition=True))


@router.post("/steps/{step}/continue", operation_id="continueStep", status_code=202, response_class=Response)
async def continue_step(request: Request, ns: str, run: str, step: str, body: models.ContinueRequest) -> Response:
    """Lets a held step go on; its status follows."""
    state = get_state(request)
    pod = await find_step_pod(state, await find_run(state, ns, run), step)
    agents = [each for each in pod["spec"].get("initContainers") or [] if each["name"] == AGENT_CONTAINER]
    if not agents:
        raise ApiProblemError("conflict", f"the step {step} is not held")
    command = [*agents[0]["command"][:-1], "continue", body.action]
    try:
        ended = await _run_in_agent(state, ns, str(pod["metadata"]["name"]), command)
    except ApiError as error:
        if error.status in (400, 404, 409, 500):
            raise ApiProblemError("conflict", f"the agent of the step {step} is not running") from error
        raise
    if ended.code == _NOT_HELD_EXIT_CODE:
        raise ApiProblemError("conflict", f"the step {step} is not held where it could {body.action}")
    if ended.code != 0 and not (_was_killed(ended) and await _has_gone_on(state, ns, run, step)):
        raise ApiProblemError("conflict", f"the step {step} could not be continued: the log of its agent says more")
    log.info(
        "step continued",
        extra={"namespace": ns, "run": run, "step": step, "action": body.action, "user": request.state.user.name},
    )
    return Response(status_code=202)


def _was_killed(ended: ExitStatus) -> bool:
    """Whether the process did not end by itself, as one whose pod ends: a short step may end before it does."""
    return ended.code is None or ended.code > _SIGNAL_EXIT_CODE


async def _has_gone_on(state: AppState, ns: str, run: str, step: str) -> bool:
    """Whether the step is not held any more; its status follows what became of its pod."""
    for _ in range(_STATUS_CHECKS):
        status = find_step(await find_run(state, ns, run), step)
        if status is None or status.get("reason") != StepReason.HELD:
            return True
        await asyncio.sleep(_STATUS_INTERVAL)
    return False


async def _run_in_agent(state: AppState, namespace: str, pod: str, command: list[str]) -> ExitStatus:
    """Run a command in the container of the agent, and wait for its end."""
    async with (
        asyncio.timeout(_EXEC_SECONDS),
        execute(state.client, namespace, pod, AGENT_CONTAINER, command, stdin=False) as stream,
        contextlib.aclosing(stream.output()) as output,
    ):
        async for each in output:
            if isinstance(each, ExitStatus):
                return each
    return ExitStatus(None)
