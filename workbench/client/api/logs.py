"""Logs of steps, as far as they are written: text lines, or blocks of bytes. Live logs are in `streams`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from workbench.client.api.base import CHUNK, ApiCalls, to_params
from workbench.client.decode import decode_step_command
from workbench.client.models import StepCommand


class LogCalls(ApiCalls):
    """The calls below `/runs/{run}/steps/{step}/logs`."""

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
        """The lines of a step so far, without newlines; by default of the last attempt's `step` container."""
        params = to_params(attempt=attempt, container=container, tail=tail, timestamps="true" if timestamps else None)
        path, rest = self._path("runs", run, "steps", step, "logs"), b""
        async with self._transport.open_once("GET", path, _action(run, step), params=params) as answer:
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")

    async def commands(self, run: str, step: str, *, attempt: int | None = None) -> tuple[StepCommand, ...]:
        """The commands of a step that have started, by default of the last attempt; empty for a step with one."""
        params = to_params(attempt=attempt)
        items = await self._get_items(self._path("runs", run, "steps", step, "commands"), _action(run, step), params)
        return tuple(decode_step_command(item) for item in items)

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """The log so far as bytes of whole lines, each with its newline; with `timestamps`, each after its time."""
        params = to_params(attempt=attempt, container=container, timestamps="true" if timestamps else None)
        path, rest = self._path("runs", run, "steps", step, "logs"), b""
        async with self._transport.open_once("GET", path, _action(run, step), params=params) as answer:
            async for chunk in answer.content.iter_chunked(CHUNK):
                whole, newline, tail = chunk.rpartition(b"\n")
                if newline:
                    yield rest + whole + newline
                    rest = tail
                else:
                    rest += tail
        if rest:
            yield rest + b"\n"


def _action(run: str, step: str) -> str:
    return f"read the log of step {step} of run {run}"
