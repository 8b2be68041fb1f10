"""Caches for agents: runs of a pipeline restore what earlier runs saved, and save what did not exist.

A cache belongs to a pipeline of a namespace and to a scope: a branch, a tag or the pull requests of a branch. A run
saves in its own scope only, and restores from that first, then from those of the default branches. So a pull request
can't change what runs of other branches restore. A cache never changes: the first one committed under a key stays. Its
archive's name contains its digest, so two writers of one key, or one with an old URL, can't overwrite each other's
archive.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from controller.api.auth.route import GuardedRoute
from controller.api.http.problems import ApiProblemError
from controller.api.models import agent as models
from controller.api.namespace_uids import namespace_uid_of
from controller.api.routes.agent.access import authorize_agent
from controller.api.routes.agent.uploads import commit_upload
from controller.api.state import AppState, get_state
from controller.run_numbers import pipeline_of
from controller.storage import ObjectExistsError, ObjectNotFoundError

_log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1/agent/caches", tags=["agent"], route_class=GuardedRoute)

_TOUCH_INTERVAL = timedelta(days=1)
_MAX_DOCUMENT_BYTES = 64 * 1024


@router.post("/lookup", operation_id="agentCacheLookup", response_model=models.ObjectLink)
async def look_up(request: Request, body: models.CacheLookup) -> Response:
    """The URL of the cache with this key; 404 if there is none."""
    state = get_state(request)
    access = await authorize_agent(state, request, "step")
    access.check_cache_key(body.key)
    namespace_uid = await namespace_uid_of(state, access.run)
    for scope in readable_scopes(access.run, state.settings.default_branches):
        link = await _find_cache(state, _cache_prefix(access.run, namespace_uid, scope, body.key))
        if link is not None:
            return JSONResponse(link)
    raise ApiProblemError("not-found", "there is no cache of this key")


@router.post("", operation_id="agentCacheUpload", response_model=models.UploadLink)
async def upload(request: Request, body: models.CacheArchive) -> Response:
    """The URL to PUT the archive of a cache to."""
    state = get_state(request)
    _, prefix = await _own_cache(state, request, body)
    _check_size(state, body)
    if await _committed_sha256(state, prefix) is not None:
        raise ApiProblemError("conflict", "there is already a cache with this key")
    await state.budgets.caches.promise(_archive_key(prefix, body.sha256), body.size)
    return JSONResponse(await state.upload_link(_archive_key(prefix, body.sha256), body.size, body.sha256))


@router.put("/manifest", operation_id="agentCacheManifest", status_code=204, response_class=Response)
async def commit(request: Request, body: models.CacheArchive) -> Response:
    """Commits a cache. Repeating the same call has no effect; another cache with the key is refused."""
    state = get_state(request)
    run, prefix = await _own_cache(state, request, body)
    _check_size(state, body)
    budget = state.budgets.caches if await _committed_sha256(state, prefix) is None else None
    await commit_upload(state, _archive_key(prefix, body.sha256), body.sha256, body.size, budget)
    cache_document = {
        **body.model_dump(mode="json", by_alias=True),
        "run": run["metadata"]["name"],
        "scope": own_scope(run),
    }
    document = json.dumps(cache_document).encode()
    try:
        await state.store.put(_document_key(prefix), document, if_absent=True)
    except ObjectExistsError:
        committed = await _committed_sha256(state, prefix)
        if committed is None:
            await state.store.put(_document_key(prefix), document)
        elif committed != body.sha256:
            raise ApiProblemError("conflict", "there is another cache with this key") from None
    return Response(status_code=204)


async def _committed_sha256(state: AppState, prefix: str) -> str | None:
    """The digest of the cache's archive; None if there is no cache: a damaged document, or one without archive."""
    try:
        document = await state.store.get(_document_key(prefix), limit=_MAX_DOCUMENT_BYTES)
    except ObjectNotFoundError:
        return None
    try:
        sha256 = str(json.loads(document)["sha256"])
    except (ValueError, KeyError, TypeError):
        return None
    return sha256 if await state.store.head(_archive_key(prefix, sha256)) is not None else None


def _check_size(state: AppState, body: models.CacheArchive) -> None:
    limit = state.settings.cache_limit
    if body.size > limit:
        raise ApiProblemError("too-large", f"the cache has {body.size} bytes; the limit is {limit}")


def own_scope(run: Mapping[str, Any]) -> str:
    """The scope that a run saves caches in. Names of branches, tags and pull requests are different scopes."""
    spec = run["spec"]
    event = spec.get("event") or "push"
    kind = event if event in ("pull_request", "tag") else "branch"
    return f"{kind}:{spec.get('branch') or ''}"


def readable_scopes(run: Mapping[str, Any], default_branches: Iterable[str]) -> list[str]:
    """The scopes that a run restores caches from, the preferred one first."""
    return list(dict.fromkeys((own_scope(run), *(f"branch:{name}" for name in default_branches))))


async def _find_cache(state: AppState, prefix: str) -> dict[str, Any] | None:
    """The URL of a cache, with its digest and size; None if there is none."""
    try:
        document = await state.store.get(_document_key(prefix), limit=_MAX_DOCUMENT_BYTES)
        found = json.loads(document)
        key = _archive_key(prefix, found["sha256"])
        stored, noted = await state.store.head(key), await state.store.head(_document_key(prefix))
    except ObjectNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("the cache %s is damaged and counts as missing (%s)", prefix, type(error).__name__)
        return None
    if stored is None or noted is None:
        return None
    if datetime.now(UTC) - noted.modified > _TOUCH_INTERVAL:
        # The document's date says when the cache was last used: retention deletes unused ones.
        await state.store.put(_document_key(prefix), document)
    return {"url": await state.signed_url(key), "sha256": found["sha256"], "size": stored.size}


async def _own_cache(state: AppState, request: Request, body: models.CacheArchive) -> tuple[Mapping[str, Any], str]:
    """The run and the prefix of the keys of a cache that it saves."""
    access = await authorize_agent(state, request, "step")
    access.check_trusted()
    access.check_cache_key(body.key)
    namespace_uid = await namespace_uid_of(state, access.run)
    return access.run, _cache_prefix(access.run, namespace_uid, own_scope(access.run), body.key)


def _cache_prefix(run: Mapping[str, Any], namespace_uid: str, scope: str, key: str) -> str:
    """The prefix of the keys of a cache's objects."""
    pipeline = pipeline_of(run)
    folder = hashlib.sha256(f"{pipeline}\0{scope}".encode()).hexdigest()[:32]
    return f"caches/{run['metadata']['namespace']}/{namespace_uid}/{folder}/{hashlib.sha256(key.encode()).hexdigest()}"


def _document_key(prefix: str) -> str:
    return f"{prefix}.json"


def _archive_key(prefix: str, sha256: str) -> str:
    return f"{prefix}.{sha256}.tar.gz"
