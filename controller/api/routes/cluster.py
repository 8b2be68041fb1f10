"""The cluster that runs execute on, read from its Nodes: users must see when images are ignored."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.authenticator import AccessRequest
from controller.api.auth.permissions import GROUP
from controller.api.auth.route import GuardedRoute
from controller.api.models import cluster as models
from controller.api.state import get_state
from controller.kube import NAMESPACES, NODES

PROCESS_RUNTIME = "process://"

router = APIRouter(prefix="/api/v1", tags=["cluster"], route_class=GuardedRoute)


@router.get("/cluster", operation_id="cluster", response_model=models.ClusterAnswer)
async def cluster(request: Request) -> Response:
    """The runtime, whether it uses images, Kubernetes' version, and the namespaces whose runs the caller can list."""
    state = get_state(request)
    nodes = await state.client.list(NODES)
    namespaces = await state.client.list(NAMESPACES)
    allowed = []
    for name in sorted(each["metadata"]["name"] for each in namespaces["items"]):
        question = AccessRequest(verb="list", group=GROUP, resource="pipelineruns", namespace=name)
        if await state.authenticator.is_allowed(request.state.user, question):
            allowed.append(name)
    return JSONResponse(
        {**node_runtime(nodes["items"]), "version": await state.kubernetes_version(), "namespaces": allowed}
    )


def node_runtime(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The runtime of the first Node (by name) and whether it uses images."""
    found = sorted(
        (
            str(node["metadata"]["name"]),
            str(((node.get("status") or {}).get("nodeInfo") or {}).get("containerRuntimeVersion", "")),
        )
        for node in nodes
    )
    runtime = found[0][1] if found else ""
    return {
        "runtime": runtime or None,
        "images": "ignored" if runtime.startswith(PROCESS_RUNTIME) else "used",
    }
