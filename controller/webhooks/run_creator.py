"""Creates the runs that an event asks for, each at most once however often it is tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from controller import labels
from controller.kube import PIPELINE_RUNS, AlreadyExistsError, ApiError, KubeClient, TooLargeError
from controller.pipeline.match import match, skip_reason
from controller.provenance import DeliveryProofs
from controller.webhooks.connection import Connection
from controller.webhooks.event import RepositoryEvent
from controller.webhooks.runs import DeliveryKey, build_run, run_name

Json = dict[str, Any]

_REFUSALS = (403, 404, 422)
"""What a second try would not change: a quota, a missing right, a namespace that is gone, a field that is refused."""


class PipelineSource(Protocol):
    """The known PipelineConfigs."""

    def get(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True)
class Outcome:
    """What came of a delivery: `Started`, `Ignored` or `Refused`; the names of the runs; why not, or why not all."""

    word: str
    runs: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class RunCreator:
    """Creates and signs runs. `proofs` has the receiver's key."""

    client: KubeClient
    pipelines: PipelineSource
    proofs: DeliveryProofs

    async def create(self, connection: Connection, key: DeliveryKey, index: int, event: RepositoryEvent) -> Outcome:
        """Create the runs of an event. Raises KubeError: try again.

        Args:
            index: of the event in its delivery.
        """
        if reason := skip_reason(event.matched()) or _refused_fork(connection, event):
            return Outcome("Ignored", reason=reason)
        if not connection.pipelines:
            return await self._create(connection, key, index, event, "")
        reasons: list[str] = []
        runs: list[str] = []
        for name in connection.pipelines:
            config = self.pipelines.get(connection.namespace, name)
            if config is None:
                reasons.append(f"there is no PipelineConfig {name}")
                continue
            found = match(event.matched(), config["spec"])
            if not found.runs:
                reasons.append(f"pipeline {name}: {found.reason}")
                continue
            outcome = await self._create(connection, key, index, event, name)
            runs += outcome.runs
            reasons += [outcome.reason] if outcome.reason else []
        return Outcome("Started" if runs else "Ignored", tuple(runs), "; ".join(reasons))

    async def _create(
        self, connection: Connection, key: DeliveryKey, index: int, event: RepositoryEvent, pipeline: str
    ) -> Outcome:
        name = run_name(self.proofs.key, connection, key, index, pipeline)
        run = build_run(name, connection, key.delivery, event, pipeline)
        run["metadata"]["annotations"][labels.CREATOR_PROOF] = self.proofs.sign(run)
        try:
            await self.client.create(PIPELINE_RUNS, run, connection.namespace)
        except AlreadyExistsError:
            # The same delivery, handled by another replica or before: its name can't be guessed.
            return Outcome("Started", (name,))
        except TooLargeError:
            spec = {field: value for field, value in run["spec"].items() if field != "changedFiles"}
            return Outcome("Refused", reason=f"the run of {event.describe()} is too large, with {len(spec)} fields")
        except ApiError as error:
            if error.status not in _REFUSALS:
                raise
            return Outcome("Refused", reason=f"the cluster refuses the run: {str(error)[:400]}")
        return Outcome("Started", (name,))


def _refused_fork(connection: Connection, event: RepositoryEvent) -> str:
    """Why a pull request from a fork starts no run; empty for any other event."""
    request = event.pull_request
    if request is None or not request.from_fork:
        return ""
    where = f"pull request #{request.number} comes from a fork, {request.head_repository or 'which was deleted'}"
    if connection.forks == "never":
        return f"{where}; the connection says `forks: {{run: never}}`"
    if connection.provider == "bitbucket":
        return f"{where}, and Bitbucket Cloud has no reference to its commits in this repository"
    return ""
