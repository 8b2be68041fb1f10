"""Statistics of pipelines over their last runs; also of runs that are removed. No log is read for them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import statistics as models
from controller.api.namespace_uids import read_namespace_uid
from controller.api.state import get_state
from controller.statistics.store import PipelineKey, read_runs
from controller.statistics.trends import pipeline_statistics, pipeline_summary

_MAX_PIPELINES = 500
_READS_AT_ONCE = 16

router = APIRouter(prefix="/api/v1/namespaces/{ns}/statistics", tags=["statistics"], route_class=GuardedRoute)


@router.get("", operation_id="listStatistics", response_model=models.StatisticsList)
async def list_statistics(request: Request, ns: str) -> Response:
    """The durations of the last 50 runs of each pipeline, by name, and which pipelines have become slower."""
    state = get_state(request)
    uid = await read_namespace_uid(state, ns)
    prefix = f"stats/{ns}/{uid}/"
    names: dict[str, None] = {}
    async for info in state.store.list(prefix):
        names.setdefault(info.key[len(prefix) :].partition("/")[0])
        if len(names) >= _MAX_PIPELINES:
            break
    slots = asyncio.Semaphore(_READS_AT_ONCE)

    async def read(name: str) -> dict[str, object]:
        async with slots:
            records = await read_runs(state.store, PipelineKey(ns, uid, name))
            return await asyncio.to_thread(pipeline_summary, name, records)

    found = await asyncio.gather(*(read(name) for name in sorted(names)))
    return JSONResponse({"items": [each for each in found if each["count"]]})


@router.get("/{pipeline}", operation_id="getStatistics", response_model=models.PipelineStatistics)
async def get_statistics(request: Request, ns: str, pipeline: str) -> Response:
    """Durations, queue times, outcomes and sizes of the last 50 runs of a pipeline and of its steps, oldest first."""
    state = get_state(request)
    uid = await read_namespace_uid(state, ns)
    records = await read_runs(state.store, PipelineKey(ns, uid, pipeline))
    if not records:
        raise ApiProblemError("not-found", f"no run of a pipeline {pipeline} has ended in the namespace {ns}")
    return JSONResponse(await asyncio.to_thread(pipeline_statistics, pipeline, records))
