"""Runs: create, list, watch, cancel, delete, rerun and enter them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.client import decode
from workbench.client.api.base import CHUNK, ApiCalls, to_params
from workbench.client.errors import InvalidError, NotFoundError, ServerError
from workbench.client.models import Run, RunEvent, RunPage
from workbench.client.run_request import RunRequest
from workbench.client.source_delta import SourceDelta
from workbench.client.step_reuse import StepReuse, decode_step_reuse

if TYPE_CHECKING:
    from workbench.client.exec import ExecSession


class RunCalls(ApiCalls):
    """The calls below `/runs` and `/sources`."""

    async def has_source(self, digest: str) -> bool:
        """Whether the controller has the archive with this digest (`sha256:…`)."""
        try:
            await self._transport.call("HEAD", self._path("sources", digest), "look for the source")
        except NotFoundError:
            return False
        return True

    async def put_source(self, digest: str, archive: Path, progress: Callable[[int], None] = lambda _: None) -> None:
        """Upload a tar.gz. `progress` receives the bytes sent so far; from 0 again when the upload is retried."""
        headers = {"Content-Length": str(archive.stat().st_size), "Content-Type": "application/gzip"}
        await self._transport.call(
            "PUT",
            self._path("sources", digest),
            "upload the working tree",
            headers=headers,
            body=lambda: _read_chunks(archive, progress),
        )

    async def put_source_delta(self, digest: str, archive: Path, delta: SourceDelta) -> bool:
        """Upload what is new in a tar.gz; False if the controller does not have the other one, or can't do that."""
        headers = {"Content-Length": str(delta.size), "Content-Type": "application/octet-stream"}
        try:
            await self._transport.call(
                "PUT",
                self._path("sources", digest, "delta"),
                "upload what is new in the working tree",
                params=to_params(base=delta.base, listed="true" if delta.listed else None),
                headers=headers,
                body=lambda: _read_delta(archive, delta),
            )
        except (NotFoundError, InvalidError, ServerError):
            return False
        return True

    async def ensure_source(
        self,
        digest: str,
        archive: Path,
        progress: Callable[[int], None] = lambda _: None,
        *,
        delta: SourceDelta | None = None,
    ) -> bool:
        """Upload the archive unless the controller has it; True if it was uploaded.

        Args:
            delta: the difference to an archive that the controller may have: then only what is new is sent.
        """
        if await self.has_source(digest):
            return False
        if delta is not None and await self.put_source_delta(digest, archive, delta):
            return True
        await self.put_source(digest, archive, progress)
        return True

    async def create_run(self, request: RunRequest, *, idempotency_key: str) -> Run:
        """Create a run. Requests with the same random `idempotency_key` create one run, however often they are sent.

        Raises:
            InvalidError: the pipeline is invalid; holds the diagnostics.
        """
        path = self._path("runs")
        answer = await self._post(path, "create the run", request.to_json(), idempotency_key=idempotency_key)
        return decode.decode_run(answer)

    async def runs(
        self,
        *,
        limit: int | None = None,
        continue_: str | None = None,
        phase: str | None = None,
        pipeline: str | None = None,
        copies: bool = True,
        watched: bool | None = None,
    ) -> RunPage:
        """One page of runs, newest first. Without `copies`, debug runs are left out.

        Args:
            watched: only runs that were started because a file was saved, or only others.
        """
        params = to_params(limit=limit, phase=phase, pipeline=pipeline, copies=None if copies else "false")
        params += [] if watched is None else [("watched", "true" if watched else "false")]
        params += [("continue", continue_)] if continue_ else []
        return decode.decode_page(await self._get_object(self._path("runs"), "list the runs", params))

    async def run(self, name: str) -> Run:
        return decode.decode_run(await self._get_object(self._path("runs", name), f"find run {name}"))

    async def cancel(self, name: str) -> Run:
        """Request the cancellation of a run. It has ended once its phase is `Cancelled`."""
        return decode.decode_run(await self._post(self._path("runs", name, "cancel"), f"cancel run {name}"))

    async def approve(self, name: str, commit: str | None = None) -> Run:
        """Let the run of a pull request from a fork start; with `commit`, only if it is of that commit."""
        document = {"commit": commit} if commit else {}
        return decode.decode_run(await self._post(self._path("runs", name, "approve"), f"approve run {name}", document))

    async def explain_step(self, name: str, step: str) -> StepReuse:
        """Whether a step (its name or slug) of a run was reused, and what differs if it was not."""
        path = self._path("runs", name, "steps", step, "why")
        return decode_step_reuse(await self._get_object(path, f"explain step {step} of run {name}"))

    async def set_breakpoints(self, name: str, breakpoints: Sequence[tuple[str, str]]) -> Run:
        """Replace the breakpoints of a run: the step's name, and `before`, `after` or `failed`."""
        document = {"breakpoints": _breakpoints(breakpoints)}
        path = self._path("runs", name, "breakpoints")
        answer = await self._transport.call("PUT", path, f"set the breakpoints of {name}", document=document)
        return decode.decode_run(answer)

    async def continue_step(self, run: str, step: str, action: str = "go") -> None:
        """Let a held step go on: `go`; `retry` its commands; or `accept`: as if they had succeeded."""
        path = self._path("runs", run, "steps", step, "continue")
        document = {"action": action}
        # Not twice: the second time it would be for the next hold.
        await self._transport.call("POST", path, f"continue step {step} of {run}", document=document, retry=False)

    async def delete(self, name: str) -> None:
        await self._transport.call("DELETE", self._path("runs", name), f"delete run {name}")

    async def rerun(
        self,
        name: str,
        *,
        idempotency_key: str,
        from_failed: bool = False,
        failed_tests: bool = False,
        keep_on_failure: bool = False,
        breakpoints: Sequence[tuple[str, str]] = (),
    ) -> Run:
        """Run the pipeline of a run again, on the same source with the same parameters.

        With `from_failed`, steps that succeeded and would be the same are reused. With `failed_tests`
        also, and steps that say how run only the tests that failed. With
        `keep_on_failure`, the workspaces of failed steps are saved. `breakpoints` are as for `set_breakpoints`.
        """
        document: dict[str, Any] = {"fromFailed": from_failed}
        document |= {"failedTests": True} if failed_tests else {}
        document |= {"keepOnFailure": True} if keep_on_failure else {}
        document |= {"breakpoints": _breakpoints(breakpoints)} if breakpoints else {}
        path = self._path("runs", name, "rerun")
        return decode.decode_run(await self._post(path, f"rerun {name}", document, idempotency_key=idempotency_key))

    async def copy_step(self, run: str, step: str, *, idempotency_key: str, attempt: int, seconds: int) -> Run:
        """Start a debug run of a failed step on its saved workspace; it ends after `seconds`."""
        answer = await self._post(
            self._path("runs", run, "steps", step, "copy"),
            f"start a copy of step {step} of {run}",
            {"attempt": attempt, "seconds": seconds},
            idempotency_key=idempotency_key,
        )
        return decode.decode_run(answer)

    async def events(self, name: str) -> tuple[RunEvent, ...]:
        """The cluster's events about the run, its Jobs and its pods, oldest first."""
        items = await self._get_items(self._path("runs", name, "events"), f"list the events of run {name}")
        return tuple(decode.decode_event(item) for item in items)

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
        """Run a command in a container of a running step; a shell if `command` is empty.

        With `size`, the command gets a terminal of that size.
        """
        from workbench.client.exec import ExecSession

        params = [("container", container), *(("command", word) for word in command)]
        if size is not None:
            params += [("tty", "true"), ("columns", str(size.columns)), ("rows", str(size.lines))]
        action = f"run a command in step {step} of {run}"
        path = self._path("runs", run, "steps", step, "exec")
        async with self._transport.raw_socket(path, action, params) as socket:
            yield ExecSession(socket, action)


async def _read_chunks(path: Path, progress: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    sent = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
            sent += len(chunk)
            progress(sent)


async def _read_delta(archive: Path, delta: SourceDelta) -> AsyncGenerator[bytes, None]:
    for chunk in delta.read(archive):
        yield chunk


def _breakpoints(breakpoints: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"step": step, "at": at} for step, at in breakpoints]
