"""Creates a run while the sandbox that is to run it starts.

A controller imports its API with the first request, and its socket takes requests before that: a run that is sent at
once begins as soon as the sandbox can run it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.client.endpoint import Endpoint
    from workbench.client.models import Run
    from workbench.submit.submit import PackedSource, RunSubmission

_RETRY_SECONDS = 0.1


class EarlyRun:
    """A run that is made in a thread of its own, which nobody has to wait for.

    Args:
        make: returns what is to run; called in that thread. It must have the same key each time.
    """

    def __init__(self, make: Callable[[], RunSubmission]) -> None:
        self._make = make
        self._attempt: _Attempt | None = None

    def begin(self) -> None:
        """Prepare the run. Called again when the start of the sandbox is tried again."""
        self.give_up()
        self._attempt = _Attempt(self._make)

    def send_to(self, endpoint: Endpoint, *, ready: bool = False) -> None:
        """Create the run on this controller, unless it is being created.

        Args:
            ready: the controller answers. Before that, a request that fails is repeated.
        """
        if self._attempt is not None:
            self._attempt.send_to(endpoint, ready)

    def give_up(self) -> None:
        """Create no run, unless it is being created."""
        if self._attempt is not None:
            self._attempt.give_up()

    async def name(self) -> str:
        """The name of the run, once it exists.

        Raises:
            ClientError: the controller refuses it.
            LaunchError: what is to run can't be read, or this was given up.
        """
        from workbench.client.errors import ClientError
        from workbench.tui.services.interfaces import LaunchError

        if self._attempt is None:
            raise LaunchError("the run was not started")
        try:
            return await asyncio.wrap_future(self._attempt.name)
        except ClientError:
            raise
        except Exception as error:
            raise LaunchError(str(error)) from error


class _Attempt:
    def __init__(self, make: Callable[[], RunSubmission]) -> None:
        self._make = make
        self._endpoint: Future[Endpoint] = Future()
        self.name: Future[str] = Future()
        # A workbench that is left stops waiting for the name, which must not cancel it.
        self.name.set_running_or_notify_cancel()
        self._is_ready = threading.Event()
        threading.Thread(target=self._work, name="early run", daemon=True).start()

    def send_to(self, endpoint: Endpoint, ready: bool) -> None:
        if ready:
            self._is_ready.set()
        if not self._endpoint.done():
            self._endpoint.set_result(endpoint)

    def give_up(self) -> None:
        self._endpoint.cancel()

    def _work(self) -> None:
        try:
            self.name.set_result(asyncio.run(self._create()))
        except (asyncio.CancelledError, CancelledError):
            self.name.set_exception(RuntimeError("the sandbox was not started"))
        except Exception as error:  # It is raised where the name is asked for.
            self.name.set_exception(error)

    async def _create(self) -> str:
        from workbench.client.client import Client
        from workbench.submit.submit import pack_worktree

        submission = self._make()
        async with pack_worktree(submission.tree, submission.file, history=submission.has_history) as packing:
            source = await packing
            async with Client(await asyncio.wrap_future(self._endpoint)) as client:
                run = await self._submit(client, submission, source)
        if source is not None:
            from workbench.session.source_manifests import default_manifests

            # Without it, a later comparison is less exact.
            with suppress(OSError):
                default_manifests().save(run.uid, source.archive.manifest)
        return run.name

    async def _submit(self, client: Client, submission: RunSubmission, source: PackedSource | None) -> Run:
        from workbench.client.errors import ClientError
        from workbench.submit.submit import submit

        while True:
            was_ready = self._is_ready.is_set()
            try:
                return await submit(client, submission, source)
            except ClientError:
                if was_ready:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)
