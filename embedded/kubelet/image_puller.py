"""Brings the images of a pod's containers, with the policies, back-off and words of a kubelet of 1.36."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from embedded.kubelet.container.container import Container
from embedded.kubelet.runtime.interface import Image, ImageError, PodRuntime
from embedded.kubelet.status_manager import PodStatusManager
from embedded.kubelet.termination import TerminationSequence

Json = dict[str, Any]

_FIRST_BACKOFF, _LONGEST_BACKOFF = 10.0, 300.0
"""Seconds between two attempts to pull an image."""


def present_message(image: str) -> str:
    """The message of the Event about an image that need not be pulled."""
    return f'Container image "{image}" already present on machine and can be accessed by the pod'


class ImagePuller:
    """Makes sure that the image of a container is there before the container is created.

    Args:
        publish: writes the pod's status.
    """

    def __init__(
        self,
        runtime: PodRuntime,
        status_manager: PodStatusManager,
        termination: TerminationSequence,
        publish: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._status_manager = status_manager
        self._termination = termination
        self._publish = publish

    async def ensure(self, container: Container) -> bool:
        """Bring the image; False when the pod was stopped before it was there."""
        if not self._runtime.needs_image(container.spec):
            return True
        backoff = _FIRST_BACKOFF
        while not self._termination.started.is_set():
            try:
                return await self._bring(container)
            except ImageError as error:
                self._report(container, error.reason, str(error))
                if error.reason == "ErrImagePull":
                    self._report_backoff(container, str(error))
                await self._termination.pause(backoff)
                backoff = min(_LONGEST_BACKOFF, backoff * 2)
        return False

    async def _bring(self, container: Container) -> bool:
        image, policy = str(container.spec.get("image") or ""), container.spec.get("imagePullPolicy")
        if policy != "Always":
            if await self._runtime.find_image(image) is not None:
                self._record("Pulled", present_message(image), container)
                return True
            if policy == "Never":
                message = f'Container image "{image}" is not present with pull policy of Never'
                self._record("ErrImageNeverPull", message, container, failed=True)
                raise ImageError("ErrImageNeverPull", message)
        self._record("Pulling", f'Pulling image "{image}"', container)
        started = time.monotonic()
        try:
            pulled = await self._until_stopped(self._runtime.pull_image(image, self._secrets()))
        except ImageError as error:
            word = "Failed to pull image" if error.reason == "ErrImagePull" else error.reason
            self._record("Failed", f'{word} "{image}": {error}', container, failed=True)
            raise
        if pulled is None:
            return False
        seconds = f"{time.monotonic() - started:.3f}s"
        message = f'Successfully pulled image "{image}" in {seconds} ({seconds} including waiting).'
        self._record("Pulled", f"{message} Image size: {pulled.size} bytes.", container)
        return True

    async def _until_stopped(self, pulling: Any) -> Image | None:
        """The image that is being pulled; None when the pod is stopped meanwhile: the pull is given up then."""
        pull: asyncio.Task[Image] = asyncio.ensure_future(pulling)
        stop = asyncio.ensure_future(self._termination.started.wait())
        try:
            await asyncio.wait((pull, stop), return_when=asyncio.FIRST_COMPLETED)
            return pull.result() if pull.done() else None
        finally:
            for task in (pull, stop):
                task.cancel()
            await asyncio.wait((pull, stop))

    def _secrets(self) -> list[Json]:
        """The Secrets of `imagePullSecrets` that exist; a missing one is ignored, as by a kubelet."""
        references = self._status_manager.pod["spec"].get("imagePullSecrets") or []
        found = [self._status_manager.secret(str(each.get("name"))) for each in references if each.get("name")]
        return [secret for secret in found if secret is not None]

    def _report(self, container: Container, reason: str, message: str) -> None:
        container.state.waiting = (reason, message)
        self._record("Failed", f"Error: {reason}", container, failed=True)
        self._publish()

    def _report_backoff(self, container: Container, why: str) -> None:
        image = container.spec.get("image")
        container.state.waiting = ("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {why}')
        self._record("BackOff", f'Back-off pulling image "{image}"', container)
        self._record("Failed", "Error: ImagePullBackOff", container, failed=True)
        self._publish()

    def _record(self, reason: str, message: str, container: Container, *, failed: bool = False) -> None:
        kind: Any = "Warning" if failed else "Normal"
        self._status_manager.record_event(reason, message, kind=kind, container=container.name)
