"""The calls of the REST API (docs/reference/rest.md is the contract). How bytes travel is `transport`'s job."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from workbench.client import decode
from workbench.client.backoff import Backoff
from workbench.client.errors import NotFoundError, ServerError
from workbench.client.models import (
    Artifact,
    Change,
    Cluster,
    Frame,
    Health,
    LintResponse,
    Run,
    RunEvent,
    RunPage,
    SavedPipeline,
    SecretNames,
    StreamKey,
)
from workbench.client.server import Door
from workbench.client.transfers import CHUNK, atomic_download, read_chunks

if TYPE_CHECKING:
    from workbench.client.exec import ExecSession
    from workbench.client.streams import Streams
    from workbench.client.transport import Transport


class Client:
    """A controller's REST API, in the namespace of `door`. Every call raises `ClientError`s only.

    `patience` is how many seconds of unbroken trouble a stream bears before it
    raises; None means that it tries for ever. `on_trouble` is told what is wrong
    when a stream loses its connection, and None when it has one again.
    """

    def __init__(
        self,
        endpoint: Door,
        *,
        reconnect_timeout: float | None = 30.0,
        on_connection_error: Callable[[str | None], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.namespace = endpoint.namespace
        self._endpoint = endpoint
        self._reconnect_timeout = reconnect_timeout
        self._on_connection_error = on_connection_error
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._open_transport: Transport | None = None

    async def __aenter__(self) -> Self:
        from workbench.client.transport import Transport

        self._open_transport = Transport(
            self._endpoint.url, self._endpoint.token_file, self._endpoint.sandbox, self._sleep
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._open_transport is not None:
            await self._open_transport.close()
            self._open_transport = None

    @property
    def _transport(self) -> Transport:
        if self._open_transport is None:
            raise RuntimeError("use the client inside `async with`")
        return self._open_transport

    def _path(self, *parts: str) -> str:
        return "/".join(("/api/v1/namespaces", _quote(self.namespace), *(_quote(part) for part in parts)))

    # Checking and starting

    async def lint(self, text: str, *, event: str | None = None, branch: str | None = None) -> LintResponse:
        """Check a pipeline file; with `event` (and `branch`) also whether they would run it."""
        document = _without_none(text=text, event=event, branch=branch)
        return decode.decode_lint(await self._object("POST", "/api/v1/lint", "lint the file", document=document))

    async def has_source(self, digest: str) -> bool:
        """Whether the controller has the archive with this digest (`sha256:…`)."""
        try:
            await self._transport.call("HEAD", self._path("sources", digest), "look for the source")
        except NotFoundError:
            return False
        return True

    async def put_source(self, digest: str, archive: Path, progress: Callable[[int], None] = lambda _: None) -> None:
        """Upload a tar.gz. `progress` is told the bytes sent so far; from 0 again when a try fails."""
        size = archive.stat().st_size
        headers = {"Content-Length": str(size), "Content-Type": "application/gzip"}
        await self._transport.call(
            "PUT",
            self._path("sources", digest),
            "upload the working tree",
            headers=headers,
            body=lambda: read_chunks(archive, progress),
        )

    async def ensure_source(self, digest: str, archive: Path, progress: Callable[[int], None] = lambda _: None) -> bool:
        """Upload the archive unless it is there already; True when it had to be."""
        if await self.has_source(digest):
            return False
        await self.put_source(digest, archive, progress)
        return True

    async def create_run(
        self,
        pipeline: Mapping[str, Any],
        *,
        key: str,
        source: str | None = None,
        contents: str | None = None,
        git: Mapping[str, Any] | None = None,
        branch: str | None = None,
        commit: str | None = None,
        event: str | None = None,
        changed_files: Sequence[str] | None = None,
        params: Mapping[str, str] | None = None,
        priority: str | None = None,
        triggered_by: str | None = None,
        reuse_from: str | None = None,
    ) -> Run:
        """Start a run of `pipeline` (the file's fields), on the archive with the digest `source` or on a `git` source.

        `key` is a random text that names this intent: the same key never makes a second
        run, however often it is sent.

        Raises:
            Invalid: with the problems found.
        """
        document = _without_none(
            pipeline=dict(pipeline),
            source={"archive": _without_none(digest=source, contents=contents)}
            if source
            else {"git": dict(git)}
            if git
            else None,
            branch=branch,
            commit=commit,
            event=event,
            changedFiles=list(changed_files) if changed_files is not None else None,
            params=dict(params) if params else None,
            priority=priority,
            triggeredBy=triggered_by,
            reuseFrom=reuse_from,
        )
        answer = await self._object(
            "POST", self._path("runs"), "create the run", document=document, headers={"Idempotency-Key": key}
        )
        return decode.decode_run(answer)

    # Runs

    async def runs(
        self,
        *,
        limit: int | None = None,
        continue_: str | None = None,
        phase: str | None = None,
        pipeline: str | None = None,
        copies: bool = True,
    ) -> RunPage:
        """One page of runs, newest first; with the copies of failed steps unless told otherwise."""
        more = ({"continue": continue_} if continue_ else {}) | ({} if copies else {"copies": "false"})
        query = _without_none(limit=limit, phase=phase, pipeline=pipeline) | more
        params = [(name, str(value)) for name, value in query.items()]
        answer = await self._object("GET", self._path("runs"), "list the runs", params=params)
        return decode.decode_page(answer)

    async def run(self, name: str) -> Run:
        return decode.decode_run(await self._object("GET", self._path("runs", name), f"find run {name}"))

    async def cancel(self, name: str) -> Run:
        """Ask for the end of a run. It has ended once its phase says so."""
        return decode.decode_run(await self._object("POST", self._path("runs", name, "cancel"), f"cancel run {name}"))

    async def delete(self, name: str) -> None:
        await self._transport.call("DELETE", self._path("runs", name), f"delete run {name}")

    async def rerun(self, name: str, *, key: str, from_failed: bool = False, keep_on_failure: bool = False) -> Run:
        """Start the run's pipeline again on its source with its parameters; `key` names this intent.

        With `from_failed`, steps that succeeded there and would be the same here are not run again. With
        `keep_on_failure`, the workspaces of those that fail are kept.
        """
        answer = await self._object(
            "POST",
            self._path("runs", name, "rerun"),
            f"rerun {name}",
            document={"fromFailed": from_failed} | ({"keepOnFailure": True} if keep_on_failure else {}),
            headers={"Idempotency-Key": key},
        )
        return decode.decode_run(answer)

    async def copy_step(self, run: str, step: str, *, key: str, attempt: int, seconds: int) -> Run:
        """Start a copy of a failed step on its kept workspace, for so many seconds; `key` names this intent."""
        answer = await self._object(
            "POST",
            self._path("runs", run, "steps", step, "copy"),
            f"start a copy of step {step} of {run}",
            document={"attempt": attempt, "seconds": seconds},
            headers={"Idempotency-Key": key},
        )
        return decode.decode_run(answer)

    async def events(self, name: str) -> tuple[RunEvent, ...]:
        """What the cluster says happened to the run, its Jobs and its pods, oldest first."""
        answer = await self._object("GET", self._path("runs", name, "events"), f"list the events of run {name}")
        return tuple(decode.decode_event(item) for item in _items(answer))

    @asynccontextmanager
    async def execute(
        self,
        run: str,
        step: str,
        command: Sequence[str] = (),
        *,
        container: str = "step",
        size: os.terminal_size | None = None,
    ) -> AsyncIterator[ExecSession]:
        """Run a command in a container of a running step, a shell unless told otherwise.

        With a `size` it has a terminal of that size.
        """
        from workbench.client.exec import ExecSession

        params = [("container", container), *(("command", word) for word in command)]
        if size is not None:
            params += [("tty", "true"), ("columns", str(size.columns)), ("rows", str(size.lines))]
        what = f"run a command in step {step} of {run}"
        path = self._path("runs", run, "steps", step, "exec")
        async with self._transport.raw_socket(path, what, params) as socket:
            yield ExecSession(socket, what)

    def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]:
        """What there is, then every change: of all runs of the namespace, or of one.

        Begins with `RunsListed`, and gives another one when changes may have been
        missed; a run asked for by name that is not there is an empty list. Reconnects
        by itself and never ends; close it (`contextlib.aclosing`) when done.
        """
        return self._streams().watch_runs(run)

    # Logs

    def stream_logs(
        self, run: str, steps: Iterable[str] = (), after: Mapping[StreamKey, int] | None = None
    ) -> AsyncGenerator[Frame, None]:
        """Log frames of a run, live: of these steps (slugs), or of every step as each starts.

        `after` names the last line already seen of a stream. Reconnects by itself and
        goes on where it was, without a gap or a repeat; ends with `Done`.
        """
        return self._streams().stream_logs(run, steps, after or {})

    async def logs(
        self,
        run: str,
        step: str,
        *,
        attempt: int | None = None,
        container: str | None = None,
        tail: int | None = None,
        timestamps: bool = False,
    ) -> AsyncGenerator[str, None]:
        """The lines of a step so far, without newlines.

        Of the last attempt's `step` container unless told otherwise.
        """
        query = _without_none(
            attempt=attempt, container=container, tail=tail, timestamps="true" if timestamps else None
        )
        what = f"read the log of step {step} of run {run}"
        rest = b""
        path = self._path("runs", run, "steps", step, "logs")
        params = [(name, str(value)) for name, value in query.items()]
        async with self._transport.open_once("GET", path, what, params=params) as answer:
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """The log so far as bytes of whole lines, each with its newline; with its time before it if `timestamps`."""
        query = {"attempt": str(attempt), "container": container} | ({"timestamps": "true"} if timestamps else {})
        what = f"read the log of step {step} of run {run}"
        path, rest = self._path("runs", run, "steps", step, "logs"), b""
        async with self._transport.open_once("GET", path, what, params=list(query.items())) as answer:
            async for chunk in answer.content.iter_chunked(CHUNK):
                whole, newline, tail = chunk.rpartition(b"\n")
                if newline:
                    yield rest + whole + newline
                    rest = tail
                else:
                    rest += tail
        if rest:
            yield rest + b"\n"

    # Artifacts, secrets, cluster

    async def artifacts(self, run: str) -> tuple[Artifact, ...]:
        answer = await self._object("GET", self._path("runs", run, "artifacts"), f"list the artifacts of run {run}")
        return tuple(decode.decode_artifact(item) for item in _items(answer))

    async def download(
        self, run: str, step: str, target: Path, progress: Callable[[int], None] = lambda _: None
    ) -> int:
        """Write a step's artifacts (tar.gz) to the file `target`, whole or not at all; gives its size in bytes."""
        path, what = self._path("runs", run, "artifacts", step), f"download the artifacts of step {step} of run {run}"
        size = 0
        async with self._transport.open_once("GET", path, what) as answer:
            with atomic_download(target) as file:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    file.write(chunk)
                    size += len(chunk)
                    progress(size)
        return size

    async def download_file(self, run: str, step: str, path: str, target: Path) -> int:
        """Write one file out of a step's artifacts to `target`, whole or not at all; gives its size in bytes."""
        where = self._path("runs", run, "artifacts", step, "files", *path.split("/"))
        size = 0
        async with self._transport.open_once("GET", where, f"download {path} of step {step} of run {run}") as answer:
            with atomic_download(target) as file:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    size += file.write(chunk)
        return size

    async def secrets(self) -> tuple[SecretNames, ...]:
        """Names and keys; the values can't be read back."""
        answer = await self._object("GET", self._path("secrets"), "list secrets")
        return tuple(decode.decode_secret(item) for item in _items(answer))

    async def put_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Set keys of a secret; keys that are not named stay as they are."""
        await self._transport.call(
            "PUT", self._path("secrets", name), f"set secret {name}", document={"data": dict(data)}
        )

    async def delete_secret(self, name: str) -> None:
        await self._transport.call("DELETE", self._path("secrets", name), f"delete secret {name}")

    async def cluster(self) -> Cluster:
        return decode.decode_cluster(await self._object("GET", "/api/v1/cluster", "ask about the cluster"))

    async def health(self) -> Health:
        """How the namespace and the controller's parts are: what waits, limits, pods."""
        return decode.decode_health(await self._object("GET", self._path("cluster"), "ask how the namespace is"))

    async def pipelines(self) -> tuple[SavedPipeline, ...]:
        """The pipelines that are kept in the namespace, by name."""
        answer = await self._object("GET", self._path("pipelines"), "list the pipelines")
        return tuple(decode.decode_pipeline(item) for item in _items(answer))

    # Shared by the calls above

    async def _object(self, method: str, path: str, what: str, **how: Any) -> Mapping[str, Any]:
        answer = await self._transport.call(method, path, what, **how)
        if not isinstance(answer, dict):
            raise ServerError(f"can't {what}: {self._endpoint.url} answered with something else than the API promises")
        return answer

    def _streams(self) -> Streams:
        from workbench.client.streams import Streams

        patience = Backoff(self._reconnect_timeout, self._clock, self._jitter)
        return Streams(
            self._transport, self._path, self.runs, self.run, patience, self._on_connection_error, self._sleep
        )


def _quote(part: str) -> str:
    return quote(part, safe=":")


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _items(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = answer.get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
