"""Routes for agents in step pods: a capability token gives one agent of one attempt what its step needs.

Agents receive short-lived URLs and never the store's credentials. What an agent reports about its archive is checked
against the store before the manifest makes it count.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.artifacts.keys import ArtifactKey, committed_artifacts, find_step
from controller.api.artifacts.manifest import stored_digest
from controller.api.artifacts.secret_names import PathCheck, file_name_check
from controller.api.artifacts.sent_manifest import EncodedManifest, encode_manifest
from controller.api.artifacts.workspaces import debug_source, find_workspace, workspace_key
from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import agent as models
from controller.api.namespace_uids import source_of_run
from controller.api.openapi import json_body
from controller.api.routes.agent.access import authorize_agent
from controller.api.routes.agent.uploads import commit_archive, grant_upload
from controller.api.runs.find import find_run_by_uid, reread_run
from controller.api.state import AppState, get_state
from controller.run_types.keys import AttemptKey
from controller.storage import ObjectExistsError
from controller.storage.sources import find_source

_MAX_INLINE_BYTES = 64 * 1024
"""A manifest of some 400 files: reading it takes less than starting a thread and waiting for its turn."""

router = APIRouter(prefix="/api/v1/agent", tags=["agent"], route_class=GuardedRoute)


@router.get("/source", operation_id="agentSource", response_model=models.ObjectLink)
async def agent_source(request: Request) -> Response:
    """The URL of the run's source."""
    state = get_state(request)
    run = (await authorize_agent(state, request, "step")).run
    if (copied := debug_source(run)) is not None:
        return JSONResponse(await _workspace_link(state, run, copied))
    digest = await _source_digest(state, run)
    if not digest:
        raise ApiProblemError("not-found", "the run has no source archive")
    stored = await find_source(state.store, await source_of_run(state, run, digest), state.utc_now())
    if stored is None:
        raise ApiProblemError("not-found", f"the run's source {digest} is not stored, or no longer")
    url = await state.signed_url(stored.key)
    return JSONResponse({"url": url, "sha256": digest.removeprefix("sha256:"), "size": stored.size})


@router.get("/artifacts/{slug}", operation_id="agentArtifacts", response_model=models.ObjectLink)
async def agent_artifacts(request: Request, slug: str) -> Response:
    """The URL of the artifacts of a step that the own one depends on."""
    state = get_state(request)
    access = await authorize_agent(state, request, "step")
    access.check_upstream(slug)
    run = access.run
    stored = await committed_artifacts(state.store, run, await _find_run_step(state, run, slug))
    if stored is None:
        raise ApiProblemError("not-found", f"the step {slug} has no artifacts (yet)")
    url = await state.signed_url(stored.archive_key)
    return JSONResponse({"url": url, "sha256": stored.sha256, "size": stored.size})


@router.post("/artifacts/{slug}/{attempt}", operation_id="agentUpload", response_model=models.UploadLink)
async def agent_upload(request: Request, slug: str, attempt: int, body: models.UploadRequest) -> Response:
    """The URL to PUT the archive of an attempt's artifacts to."""
    state = get_state(request)
    key = await _own_artifacts(state, request, slug, attempt)
    if body.size > state.settings.artifact_limit:
        limit = state.settings.artifact_limit
        raise ApiProblemError("too-large", f"the archive has {body.size} bytes; the limit is {limit}")
    committed = f"the artifacts of {slug}, attempt {attempt}, are committed already"
    return await grant_upload(state, key, body, state.budgets.artifacts, committed)


@router.put(
    "/artifacts/{slug}/{attempt}/manifest",
    operation_id="agentManifest",
    status_code=204,
    response_class=Response,
    openapi_extra=json_body("Manifest"),
)
async def agent_manifest(request: Request, slug: str, attempt: int) -> Response:
    """Commits an attempt's artifacts.

    Repeating the same manifest has no effect; a different one is refused.
    """
    state = get_state(request)
    access = await authorize_agent(state, request, "step", slug, attempt)
    access.check_artifacts()
    key = access.key
    check_paths = await file_name_check(state.client, access.run, AttemptKey(slug, attempt))
    # Few at a time: each needs twice its size in memory.
    async with state.manifest_slots:
        manifest = await _encode_manifest(await request.body(), check_paths)
        archive = manifest.archive
        budget = state.budgets.artifacts
        await commit_archive(state, key, archive["sha256"], archive["size"], budget, "the manifest")
        try:
            await state.store.put(key.manifest, manifest.content(), if_absent=True)
        except ObjectExistsError:
            if await stored_digest(state.store, key.manifest) != manifest.sha256:
                raise ApiProblemError("conflict", f"{slug}, attempt {attempt}: other artifacts are committed") from None
    return Response(status_code=204)


async def _encode_manifest(body: bytes, check_paths: PathCheck | None) -> EncodedManifest:
    if len(body) <= _MAX_INLINE_BYTES:
        return encode_manifest(body, check_paths)
    return await asyncio.to_thread(encode_manifest, body, check_paths)


async def _workspace_link(state: AppState, run: Mapping[str, Any], copied: Mapping[str, Any]) -> dict[str, Any]:
    """The URL of the saved workspace that a debug copy is made of: of a run of the same namespace."""
    if not copied.get("uid"):
        raise ApiProblemError(
            "conflict", f"the copy of {copied['run']} does not have that run's uid: open a new one with `c8s shell`"
        )
    namespace = str(run["metadata"]["namespace"])
    origin = await find_run_by_uid(state, namespace, str(copied["run"]), str(copied["uid"]))
    found = await find_workspace(state.store, workspace_key(origin, str(copied["step"]), int(copied["attempt"])))
    return {"url": await state.signed_url(found.key), "sha256": found.sha256, "size": found.size}


async def _source_digest(state: AppState, run: Mapping[str, Any]) -> str | None:
    """The digest of the uploaded source, or of the snapshot that was made of a repository."""
    source = (run.get("spec") or {}).get("source") or {}
    if "git" not in source:
        return (source.get("archive") or {}).get("digest")
    found = (run.get("status") or {}).get("source")
    if not found:
        found = ((await reread_run(state, run)).get("status") or {}).get("source") or {}
    return found.get("digest")


async def _own_artifacts(state: AppState, request: Request, slug: str, attempt: int) -> ArtifactKey:
    access = await authorize_agent(state, request, "step", slug, attempt)
    access.check_artifacts()
    return access.key


async def _find_run_step(state: AppState, run: Mapping[str, Any], slug: str) -> Mapping[str, Any]:
    """The run's step; asks Kubernetes when the cache may lag behind a step that is running already."""
    step = find_step(run, slug)
    if step is None:
        step = find_step(await reread_run(state, run), slug)
    if step is None or step.get("slug") != slug:
        raise ApiProblemError("not-found", f"the run {run['metadata']['name']} has no step {slug}")
    return step
