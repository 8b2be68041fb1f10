"""Creates a run while the workbench opens.

It is prepared once the sandbox is ready: before that, it would take the processor from what is awaited.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.client.endpoint import Endpoint
    from workbench.submit.submit import RunSubmission


class EarlyRun:
    """A run that is made in a thread of its own, which nobody has to wait for.

    Args:
        make: returns what is to run; called in that thread.
    """

    def __init__(self, make: Callable[[], RunSubmission]) -> None:
        self._make = make
        self._name: Future[str] | None = None

    def start(self, endpoint: Endpoint) -> None:
        """Create the run on this controller."""
        self._name = Future()
        # A workbench that is left stops waiting for the name, which must not cancel it.
        self._name.set_running_or_notify_cancel()
        threading.Thread(target=self._work, args=(endpoint, self._name), name="early run", daemon=True).start()

    async def name(self) -> str:
        """The name of the run, once it exists.

        Raises:
            ClientError: the controller refuses it.
            LaunchError: what is to run can't be read.
        """
        from workbench.client.errors import ClientError
        from workbench.tui.services.interfaces import LaunchError

        if self._name is None:
            raise LaunchError("the run was not started")
        try:
            return await asyncio.wrap_future(self._name)
        except ClientError:
            raise
        except Exception as error:
            raise LaunchError(str(error)) from error

    def _work(self, endpoint: Endpoint, name: Future[str]) -> None:
        try:
            name.set_result(asyncio.run(self._create(endpoint)))
        except Exception as error:  # It is raised where the name is asked for.
            name.set_exception(error)

    async def _create(self, endpoint: Endpoint) -> str:
        from workbench.client.client import Client
        from workbench.submit.submit import pack_worktree, submit

        submission = self._make()
        async with pack_worktree(submission.tree, submission.file, history=submission.has_history) as packing:
            source = await packing
            async with Client(endpoint) as client:
                run = await submit(client, submission, source)
        if source is not None:
            from workbench.session.source_manifests import default_manifests

            # Without it, a later comparison is less exact.
            with suppress(OSError):
                default_manifests().save(run.uid, source.archive.manifest)
        return run.name
