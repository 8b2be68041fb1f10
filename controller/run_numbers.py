"""Numbers runs: the ConfigMap `c8s-run-numbers` of a namespace holds the last number of each pipeline.

The API numbers the runs that it creates; the operator those whose pipeline it fills in, such as those of deliveries.

Several controllers may write at once; the ConfigMap's resourceVersion decides, so no number is given twice, not even a
deleted run's. A request with an Idempotency-Key writes its claim on a number in the same update: repeating the request,
at another controller or after a crash, finds the claim and creates the same run. Once the run exists, its label holds
what the claim said, and the claim is removed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from controller import labels
from controller.kube import CONFIG_MAPS, KubeClient, NotFoundError
from controller.run_types.order import number_of
from controller.run_types.patterns import MAX_NAME_LENGTH, RUN_NUMBER_PATTERN

CONFIG_MAP = "c8s-run-numbers"
MAX_UNPROVEN_NUMBER = 999_999
"""Labels of runs that were not created by the API count up to this number: none may use up the numbers of others."""
CLAIM = "key."
# Longer than any request may take. An older claim's run exists, or its creator is dead.
CLAIM_SECONDS = 90.0

Object = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A number that a request with a key has claimed; `request` is the digest of the request."""

    number: int
    request: str
    at: float


@dataclass(frozen=True)
class RunNumberLedger:
    """The ConfigMap as it was read; None if it does not exist yet."""

    config_map: Object | None

    @property
    def _data(self) -> Mapping[str, str]:
        return (self.config_map or {}).get("data") or {}

    def last_number(self, pipeline: str) -> int:
        """The last number that was given to a run of the pipeline; 0 if none was."""
        text = str(self._data.get(pipeline, "0"))
        return int(text) if re.fullmatch(RUN_NUMBER_PATTERN, text) and text else 0

    def claim(self, key: str, now: float) -> Claim | None:
        """The claim under this key, unless it has expired."""
        found = _read_claim(self._data.get(CLAIM + key, ""))
        return found if found is not None and abs(now - found.at) < CLAIM_SECONDS else None

    def with_number(
        self, pipeline: str, number: int, now: float, key: str | None = None, request: str = ""
    ) -> dict[str, str]:
        """The data with this number as the last one, claimed for the key; expired claims are dropped."""
        data = self._without_old_claims(now) | {pipeline: str(number)}
        if key is not None:
            data[CLAIM + key] = json.dumps(asdict(Claim(number, request, now)), separators=(",", ":"))
        return data

    def without_claim(self, key: str) -> dict[str, str]:
        """The data without this claim."""
        return {each: value for each, value in self._data.items() if each != CLAIM + key}

    def _without_old_claims(self, now: float) -> dict[str, str]:
        keys = [each for each in self._data if each.startswith(CLAIM)]
        return {
            each: value
            for each, value in self._data.items()
            if each not in keys or self.claim(each.removeprefix(CLAIM), now) is not None
        }


async def read_ledger(client: KubeClient, namespace: str) -> RunNumberLedger:
    """Reads the numbers and claims."""
    try:
        return RunNumberLedger(await client.get(CONFIG_MAPS, CONFIG_MAP, namespace))
    except NotFoundError:
        return RunNumberLedger(None)


async def write_ledger(client: KubeClient, namespace: str, ledger: RunNumberLedger, data: Mapping[str, str]) -> None:
    """Replaces what was read. Raises AlreadyExistsError or ConflictError if another writer was quicker."""
    if ledger.config_map is None:
        await client.create(CONFIG_MAPS, _new_config_map(namespace, data), namespace)
    else:
        await client.update(CONFIG_MAPS, {**ledger.config_map, "data": dict(data)})


def pipeline_of(run: Mapping[str, Any]) -> str | None:
    """The name of the run's pipeline: of its definition, or of its label as long as the definition is not copied yet.

    The label can be written by others, and does not decide to which pipeline a run belongs.
    """
    definition = (run.get("spec") or {}).get("pipeline") or {}
    name = definition.get("name") or (run["metadata"].get("labels") or {}).get(labels.PIPELINE)
    return None if name is None else str(name)


def highest_number(runs: Iterable[Mapping[str, Any]], pipeline: str) -> int:
    """The highest number among the known runs of a pipeline: the ConfigMap may have been deleted.

    Labels can be written by others. A number counts if the run has the name that belongs to it, or its creator is
    proven, and a large one only if both are so.
    """
    found = 0
    for run in runs:
        if pipeline_of(run) != pipeline or not (number := number_of(run)):
            continue
        has_name = run["metadata"]["name"] == run_name(pipeline, number)
        is_proven = (run.get("status") or {}).get("createdBy") is not None
        if (has_name and is_proven) or ((has_name or is_proven) and number <= MAX_UNPROVEN_NUMBER):
            found = max(found, number)
    return found


def run_name(pipeline: str, number: int) -> str:
    """`<pipeline>-<number>`, with the pipeline's name cut so that the whole is a DNS label of at most 63 characters."""
    suffix = f"-{number}"
    return pipeline[: MAX_NAME_LENGTH - len(suffix)].rstrip("-") + suffix


def _read_claim(text: str) -> Claim | None:
    try:
        found = json.loads(text)
        return Claim(int(found["number"]), str(found["request"]), float(found["at"]))
    except (ValueError, KeyError, TypeError):
        return None


def _new_config_map(namespace: str, data: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": namespace, "labels": {labels.MANAGED_BY: labels.MANAGER}},
        "data": dict(data),
    }
