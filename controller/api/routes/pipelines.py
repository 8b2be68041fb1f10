"""Pipelines stored in the cluster as PipelineConfigs: list, get, put, delete.

A stored pipeline is validated like a run's. A run carries a copy: later edits never change it.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api import serializers
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.api.models import pipelines as models
from controller.api.runs import validation
from controller.api.runs.computing import compute
from controller.api.state import get_state
from controller.kube import PIPELINE_CONFIGS, AlreadyExistsError, ConflictError, NotFoundError
from controller.pipeline.run_cost import estimate_effort

ATTEMPTS = 10

router = APIRouter(prefix="/api/v1/namespaces/{ns}/pipelines", tags=["pipelines"], route_class=GuardedRoute)


@router.get("", operation_id="listPipelines", response_model=models.PipelineList)
async def list_pipelines(request: Request, ns: str) -> Response:
    """The pipelines of the namespace, by name."""
    found = await get_state(request).client.list(PIPELINE_CONFIGS, namespace=ns)
    items = sorted(
        (serializers.serialize_pipeline(each) for each in found["items"]), key=lambda each: str(each["name"])
    )
    return JSONResponse({"items": items})


@router.get("/{pipeline}", operation_id="getPipeline", response_model=models.PipelineAnswer)
async def get_pipeline(request: Request, ns: str, pipeline: str) -> Response:
    """One pipeline."""
    try:
        found = await get_state(request).client.get(PIPELINE_CONFIGS, pipeline, namespace=ns)
    except NotFoundError:
        raise _not_found(ns, pipeline) from None
    return JSONResponse(serializers.serialize_pipeline(found))


@router.put(
    "/{pipeline}",
    operation_id="putPipeline",
    response_model=models.PipelineAnswer,
    responses={201: {"model": models.PipelineAnswer, "description": "Created"}},
)
async def put_pipeline(request: Request, ns: str, pipeline: str, body: models.PipelineRequest) -> Response:
    """Creates or replaces the pipeline: 201 if it is new, else 200."""
    state = get_state(request)
    definition = await compute(state, estimate_effort(body.definition), validation.validate_definition, body.definition)
    if definition.pop("name") != pipeline:
        listed = [problem_entry("pipeline.name", f"the path says {pipeline}", path="definition.name")]
        raise ApiProblemError("pipeline-invalid", "the pipeline's name differs from the name in the path", listed)
    for _ in range(ATTEMPTS):
        try:
            current = await state.client.get(PIPELINE_CONFIGS, pipeline, namespace=ns)
        except NotFoundError:
            current = None
        try:
            if current is None:
                stored = await state.client.create(
                    PIPELINE_CONFIGS, _new_pipeline_config(ns, pipeline, definition), namespace=ns
                )
            else:
                stored = await state.client.update(PIPELINE_CONFIGS, {**current, "spec": definition})
        except (AlreadyExistsError, ConflictError):
            continue
        return JSONResponse(serializers.serialize_pipeline(stored), status_code=200 if current is not None else 201)
    raise ApiProblemError("conflict", f"the pipeline {pipeline} is being changed by other requests; try again")


@router.delete("/{pipeline}", operation_id="deletePipeline", status_code=204, response_class=Response)
async def delete_pipeline(request: Request, ns: str, pipeline: str) -> Response:
    """Deletes the pipeline; its runs remain."""
    try:
        await get_state(request).client.delete(PIPELINE_CONFIGS, pipeline, namespace=ns)
    except NotFoundError:
        raise _not_found(ns, pipeline) from None
    return Response(status_code=204)


def _not_found(namespace: str, pipeline: str) -> ApiProblemError:
    return ApiProblemError("not-found", f"there is no pipeline {pipeline} in the namespace {namespace}")


def _new_pipeline_config(namespace: str, name: str, definition: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "PipelineConfig",
        "metadata": {"name": name, "namespace": namespace},
        "spec": definition,
    }
