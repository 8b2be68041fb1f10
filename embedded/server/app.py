"""The HTTP server: one handler that reads the path, asks who and whether, and calls the registry.

There is no router: the resources change while the server runs, and a look at
the path is all it takes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from embedded.access.identity import Authenticator, User
from embedded.access.rbac import Authorizer, Request
from embedded.access.reviews import REVIEWS, answer
from embedded.machinery.errors import ApiError, Cause, bad_request, invalid, method_not_allowed, unknown_resource
from embedded.machinery.ports import LogOptions, PodRunner
from embedded.machinery.registry import Registry
from embedded.machinery.resources import PODS
from embedded.machinery.tables import table
from embedded.machinery.write import Write, Written
from embedded.server import body, discovery, doorway, listing, paths, streams, watching
from embedded.storage.store import StorageError, encode

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ONE_PIECE = 1 << 18
_TRUE = ("true", "1")


@dataclass(frozen=True)
class Call:
    """One request for a resource, whose sender is known and allowed to make it."""

    request: web.BaseRequest
    target: paths.Target
    user: User

    @property
    def query(self) -> Any:
        return self.request.query

    @property
    def accept(self) -> str:
        return self.request.headers.get("Accept", "")

    @property
    def dry_run(self) -> bool:
        return bool(self.query.get("dryRun") == "All")

    @property
    def how(self) -> Write:
        """What the query says of a write. Who does not name itself is known by its program, as on a real server."""
        program = self.request.headers.get("User-Agent", "").partition("/")[0]
        return Write(
            subresource=self.target.subresource or None,
            dry_run=self.dry_run,
            strict=self.query.get("fieldValidation") == "Strict",
            manager=self.query.get("fieldManager") or program or "unknown",
            force=self.query.get("force") in _TRUE,
        )


class Server:
    """Answers requests from the registry."""

    def __init__(
        self, registry: Registry, authenticator: Authenticator, authorizer: Authorizer, pods: PodRunner
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._pods = pods
        self._closing = asyncio.Event()
        self._methods: dict[str, Callable[[Call], Awaitable[web.StreamResponse]]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    def runner(self) -> web.ServerRunner:
        """To be started on a socket by whoever composes the process."""
        server = web.Server(
            self.handle, request_factory=_request, access_log=None, handler_cancellation=True, tcp_keepalive=True
        )
        return web.ServerRunner(server, shutdown_timeout=1.0)

    def close(self) -> None:
        """End the watches, so that the server can stop."""
        self._closing.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ApiError as error:
            return _status(error)
        except web.HTTPRequestEntityTooLarge:
            limit = f"Request entity too large: limit is {doorway.MAX_BODY}"
            return _status(ApiError(413, "RequestEntityTooLarge", limit, {}))
        except StorageError as error:
            _log.error("storage failed: %s", error)
            return _status(ApiError(500, "InternalError", str(error)))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            # The boundary: a fault in one request must not end the server, and its cause belongs in the log.
            _log.exception("request failed: %s %s", request.method, request.path)
            return _status(ApiError(500, "InternalError", "an internal error; the cluster's log has the cause"))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        doorway.check_site(request.headers)
        user = doorway.user(request.headers, self._authenticator)
        user = doorway.acting_as(request.headers, user, self._authorizer)
        target = paths.parse(request.path, self._registry.catalogue)
        if target is None:
            return self._outside(request, user)
        verb = _verb(request, target)
        resource = target.resource
        self._authorize(user, verb, target)
        if resource in REVIEWS:
            if verb != "create":
                raise method_not_allowed()
            review = body.read_object(await request.read(), request.content_type, resource.kind)
            return _json(201, answer(resource, review, user, self._authenticator, self._authorizer))
        call = Call(request, target, user)
        if target.subresource == "log" and verb == "get":
            return await self._pod_log(call)
        if target.subresource in streams.SUBRESOURCES:
            # A WebSocket begins as a GET, and yet whoever opens it must be allowed to create.
            self._authorize(user, "create", target)
            where = (target.namespace or "", target.name, target.subresource)
            return await streams.answer(request, *where, self._pods, self._closing)
        if target.subresource == "token":
            return await self._token(call, verb)
        return await self._methods[verb](call)

    def _outside(self, request: web.BaseRequest, user: User) -> web.Response:
        """Discovery and health, or nothing."""
        found = discovery.document(request.path, self._registry.catalogue)
        if found is not None:
            if request.method not in ("GET", "HEAD"):
                raise method_not_allowed()
            if not self._authorizer.allows(user, Request("get", path=request.path)):
                raise ApiError(403, "Forbidden", f'User "{user.name}" cannot get path "{request.path}"', {})
            return web.Response(text=found) if isinstance(found, str) else _json(200, found)
        group = request.path.strip("/").split("/")
        known = self._registry.catalogue.group_versions()
        if group[0] == "api" or (group[0] == "apis" and len(group) > 2 and group[2] in known.get(group[1], [])):
            raise unknown_resource()
        return web.Response(status=404, text="404 page not found\n")

    def _authorize(self, user: User, verb: str, target: paths.Target) -> None:
        resource = target.resource
        wanted = f"{resource.plural}/{target.subresource}" if target.subresource else resource.plural
        # A namespace's own rules are those of the namespace.
        namespace = target.namespace or ""
        asked = Request(verb, resource.group, wanted, namespace, target.name)
        if not self._authorizer.allows(user, asked):
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            about = f'{resource.key} "{target.name}" is forbidden' if target.name else f"{resource.key} is forbidden"
            message = (
                f'{about}: User "{user.name}" cannot {verb} resource "{wanted}" in API group "{resource.group}"{where}'
            )
            details: Json = {"kind": resource.plural}
            if target.name:
                details["name"] = target.name
            if resource.group:
                details["group"] = resource.group
            raise ApiError(403, "Forbidden", message, details)

    # -- verbs

    async def _get(self, call: Call) -> web.StreamResponse:
        t = call.target
        raw = self._registry.raw(t.resource, t.namespace, t.name)
        if listing.table_wanted(call.accept):
            obj = json.loads(raw)
            metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            include = call.query.get("includeObject", "Metadata")
            return _json(200, table(t.resource, [obj], metadata, include=include, now=self._registry.clock()))
        return _bytes(200, raw)

    async def _list(self, call: Call) -> web.StreamResponse:
        t = call.target
        chunks = listing.list_chunks(self._registry, t.resource, t.namespace, call.query, call.accept)
        length = sum(map(len, chunks))
        if length <= _ONE_PIECE:
            return _bytes(200, b"".join(chunks))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = length
        await response.prepare(call.request)
        for piece in listing.pieces(chunks, _ONE_PIECE):
            await response.write(piece)
        await response.write_eof()
        return response

    async def _watch(self, call: Call) -> web.StreamResponse:
        t = call.target
        watch = watching.watch_of(self._registry, t.resource, t.namespace, call.query, call.accept)
        return await self._stream(call.request, watch.lines(), "application/json")

    async def _create(self, call: Call) -> web.StreamResponse:
        t, request = call.target, call.request
        obj = body.read_object(await request.read(), request.content_type, t.resource.kind)
        return _written(self._registry.write_new(t.resource, obj, t.namespace, call.how))

    async def _update(self, call: Call) -> web.StreamResponse:
        t, request = call.target, call.request
        obj = body.read_object(await request.read(), request.content_type, t.resource.kind)
        return _written(self._registry.write_over(t.resource, obj, t.namespace, t.name, call.how))

    async def _patch(self, call: Call) -> web.StreamResponse:
        t, request = call.target, call.request
        custom = t.resource.schema is not None
        patch, kind = body.read_patch(await request.read(), request.headers.get("Content-Type", ""), custom=custom)
        if kind == "apply" and not call.query.get("fieldManager"):
            cause = Cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")
            raise invalid("PatchOptions", "", "meta.k8s.io", [cause])
        return _written(self._registry.write_patch(t.resource, t.namespace, t.name, patch, kind, call.how))

    async def _delete(self, call: Call) -> web.StreamResponse:
        t = call.target
        options = await _delete_options(call.request)
        gone = self._registry.delete(
            t.resource,
            t.namespace,
            t.name,
            propagation=options.get("propagationPolicy"),
            preconditions=options.get("preconditions"),
            grace_period=options.get("gracePeriodSeconds"),
            dry_run=call.dry_run or "All" in (options.get("dryRun") or []),
        )
        if t.resource is PODS or self._registry.find(t.resource, t.namespace, t.name) is not None:
            return _json(200, gone)
        details: Json = {"name": t.name, "kind": t.resource.plural, "uid": gone["metadata"]["uid"]}
        if t.resource.group:
            details["group"] = t.resource.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return _json(200, status)

    async def _delete_collection(self, call: Call) -> web.StreamResponse:
        t = call.target
        options = await _delete_options(call.request)
        labels, fields = call.query.get("labelSelector", ""), call.query.get("fieldSelector", "")
        gone = self._registry.delete_collection(
            t.resource, t.namespace, labels, fields, propagation=options.get("propagationPolicy")
        )
        metadata = {"resourceVersion": str(self._registry.store.revision)}
        head = {"kind": t.resource.listed_as, "apiVersion": t.resource.api_version, "metadata": metadata}
        return _json(200, {**head, "items": gone})

    # -- subresources

    async def _token(self, call: Call, verb: str) -> web.StreamResponse:
        if verb != "create":
            raise method_not_allowed()
        request, t = call.request, call.target
        wish = body.read_object(await request.read(), request.content_type, "TokenRequest").get("spec") or {}
        seconds, audiences = wish.get("expirationSeconds", 3600), wish.get("audiences") or ["embedded"]
        if type(seconds) is not int or not isinstance(audiences, list):
            raise bad_request("a TokenRequest's expirationSeconds is a whole number and its audiences a list")
        return _json(201, self._authenticator.issue(t.namespace or "", t.name, seconds, audiences))

    async def _pod_log(self, call: Call) -> web.StreamResponse:
        t = call.target
        chunks = self._pods.read_log(t.namespace or "", t.name, _log_options(call.query, self._registry.clock()))
        try:
            first = await anext(chunks, b"")
        except ApiError as error:
            if error.code == 404:
                raise
            return _status(error)
        return await self._stream(call.request, chunks, "text/plain", first)

    async def _stream(
        self, request: web.BaseRequest, chunks: Any, content_type: str, first: bytes = b""
    ) -> web.StreamResponse:
        """Send chunks as they come, until they end, the reader leaves or the server stops."""
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            if first:
                await response.write(first)
            while not closing.done():
                following = asyncio.ensure_future(anext(chunks, None))
                try:
                    await asyncio.wait((following, closing), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not following.done():
                        following.cancel()
                        await asyncio.wait((following,))
                if following.cancelled() or (chunk := following.result()) is None:
                    break
                await response.write(chunk)
        except ConnectionError:
            return response
        finally:
            closing.cancel()
            await chunks.aclose()
        await response.write_eof()
        return response


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=doorway.MAX_BODY)


def _verb(request: web.BaseRequest, target: paths.Target) -> str:
    """The API verb of a request.

    Raises:
        ApiError: 405.
    """
    verb = _VERBS.get(request.method)
    if verb == "get" and not target.name:
        verb = "watch" if request.query.get("watch") in _TRUE else "list"
    elif verb == "get" and request.query.get("watch") in _TRUE and not target.subresource:
        verb = "watch"
    elif verb == "delete" and not target.name:
        verb = "deletecollection"
    creates_here = not target.name or target.subresource in ("token", *streams.SUBRESOURCES)
    if verb is None or (verb == "create") != (verb == "create" and creates_here):
        raise method_not_allowed()
    if verb in ("update", "patch") and not target.name:
        raise method_not_allowed()
    if verb == "create" and target.resource.namespaced and target.namespace is None:
        raise method_not_allowed()
    if not target.subresource and verb not in target.resource.verbs:
        raise method_not_allowed()
    return verb


async def _delete_options(request: web.BaseRequest) -> Json:
    data = await request.read()
    options = body.read_object(data, request.content_type, "DeleteOptions") if data.strip() else {}
    query = dict(request.query)
    if "propagationPolicy" in query:
        options["propagationPolicy"] = query["propagationPolicy"]
    if query.get("gracePeriodSeconds", "").isdigit():
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
    if options.get("propagationPolicy") not in (None, "Foreground", "Background", "Orphan"):
        raise bad_request(f"propagationPolicy: Unsupported value: {options['propagationPolicy']!r}")
    return options


def _log_options(query: Any, now: datetime) -> LogOptions:
    def number(name: str) -> int | None:
        text = query.get(name)
        if text in (None, ""):
            return None
        if not text.isdigit():
            raise bad_request(f"{name}: Invalid value: {text!r}: must be a number")
        return int(text)

    since: datetime | None = None
    if query.get("sinceTime"):
        try:
            since = datetime.fromisoformat(query["sinceTime"])
        except ValueError:
            raise bad_request(f"sinceTime: Invalid value: {query['sinceTime']!r}") from None
    elif (seconds := number("sinceSeconds")) is not None:
        since = now - timedelta(seconds=seconds)
    return LogOptions(
        container=query.get("container", ""),
        follow=query.get("follow") in _TRUE,
        previous=query.get("previous") in _TRUE,
        timestamps=query.get("timestamps") in _TRUE,
        tail_lines=number("tailLines"),
        limit_bytes=number("limitBytes"),
        since=since,
    )


def _bytes(status: int, data: bytes) -> web.Response:
    return web.Response(status=status, body=data, content_type="application/json")


def _written(written: Written) -> web.Response:
    return _bytes(201 if written.created else 200, written.body)


def _json(status: int, obj: Json) -> web.Response:
    return _bytes(status, encode(obj))


def _status(error: ApiError) -> web.Response:
    return _json(error.code, error.to_status())
