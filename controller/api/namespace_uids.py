"""The uids of namespaces, which identify them in keys of stored objects: a name may be used again."""

from collections.abc import Mapping
from typing import Any

from controller.api.http.problems import ApiProblemError
from controller.api.runs.find import reread_run
from controller.api.state import AppState
from controller.kube import NAMESPACES, NotFoundError
from controller.storage.sources import SourceId

_MAX_NAMESPACE_UIDS = 1024


async def read_namespace_uid(state: AppState, namespace: str) -> str:
    """The uid of the namespace that has this name now. Raises a problem 404 if there is none."""
    try:
        found = await state.client.get(NAMESPACES, namespace)
    except NotFoundError:
        raise ApiProblemError("not-found", f"there is no namespace {namespace}") from None
    return str(found["metadata"]["uid"])


async def namespace_uid_of(state: AppState, run: Mapping[str, Any]) -> str:
    """The uid of the namespace that a run is in, also if another namespace is made under its name meanwhile."""
    uid = str(run["metadata"]["uid"])
    if uid not in state.namespace_uids:
        found = await read_namespace_uid(state, str(run["metadata"]["namespace"]))
        # A run that exists still was in the namespace that existed before.
        await reread_run(state, run)
        state.namespace_uids[uid] = found
        while len(state.namespace_uids) > _MAX_NAMESPACE_UIDS:
            del state.namespace_uids[next(iter(state.namespace_uids))]
    return state.namespace_uids[uid]


async def source_of_run(state: AppState, run: Mapping[str, Any], digest: str) -> SourceId:
    """The source with this digest (`sha256:<hex>`) of a run's namespace."""
    namespace = str(run["metadata"]["namespace"])
    return SourceId(namespace, await namespace_uid_of(state, run), digest.removeprefix("sha256:"))
