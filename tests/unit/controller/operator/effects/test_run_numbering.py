"""Numbers of the runs whose pipeline the operator fills in: each once, also when it is tried again."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from controller.kube import CONFIG_MAPS, AlreadyExistsError, ConflictError, NotFoundError, UnreachableError
from controller.operator.effects.run_numbering import RunNumbering

Json = dict[str, Any]


class Ledger:
    """The ConfigMap; `lose` breaks the connection after the next write."""

    def __init__(self) -> None:
        self.stored: Json | None = None
        self.lose = False
        self.writes = 0

    async def get(self, resource: Any, name: str, namespace: str) -> Json:
        assert resource is CONFIG_MAPS
        await asyncio.sleep(0)
        if self.stored is None:
            raise NotFoundError("none", status=404)
        return copy.deepcopy(self.stored)

    async def create(self, resource: Any, obj: Json, namespace: str) -> Json:
        await asyncio.sleep(0)
        if self.stored is not None:
            raise AlreadyExistsError("there", status=409)
        return self._store(obj)

    async def update(self, resource: Any, obj: Json) -> Json:
        await asyncio.sleep(0)
        assert self.stored is not None
        if obj["metadata"]["resourceVersion"] != self.stored["metadata"]["resourceVersion"]:
            raise ConflictError("changed", status=409)
        return self._store(obj)

    def _store(self, obj: Json) -> Json:
        self.writes += 1
        self.stored = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.writes)}}
        if self.lose:
            self.lose = False
            raise UnreachableError("the connection broke off")
        return self.stored


def run(uid: str, name: str = "hello-0123456789abcdef", number: str = "", *, proven: bool = True) -> Any:
    labels = {"c8s.dev/pipeline": "ci", **({"c8s.dev/run-number": number} if number else {})}
    status = {"createdBy": "c8s-webhook"} if proven else {}
    return {
        "metadata": {"uid": uid, "name": name, "namespace": "team", "labels": labels},
        "spec": {},
        "status": status,
    }


def numbering(ledger: Any, *known: Any, now: float = 1000.0) -> RunNumbering:
    return RunNumbering(ledger, lambda: known, lambda: now)


async def number(source: RunNumbering, given: Any) -> int:
    return int((await source.labels_of(given, "ci"))["c8s.dev/run-number"])


async def test_runs_get_one_number_after_the_other_however_many_ask_at_once() -> None:
    ledger = Ledger()
    ours, others = numbering(ledger), numbering(ledger)
    asked = [number(ours if index % 2 else others, run(str(index))) for index in range(12)]
    assert sorted(await asyncio.gather(*asked)) == list(range(1, 13))


async def test_a_run_that_is_tried_again_has_the_same_number() -> None:
    ledger = Ledger()
    ledger.lose = True
    with pytest.raises(UnreachableError):
        await number(numbering(ledger), run("a"))
    # Another process goes on.
    assert await number(numbering(ledger, now=1010.0), run("a")) == 1
    assert await number(numbering(ledger), run("b")) == 2


async def test_a_run_that_has_a_number_keeps_it() -> None:
    ledger = Ledger()
    assert await numbering(ledger).labels_of(run("a", number="7"), "ci") == {"c8s.dev/pipeline": "ci"}
    assert ledger.writes == 0


@pytest.mark.parametrize(
    ("known", "next_number"),
    [
        (run("x", "ci-41", "41", proven=False), 42),
        (run("x", "ci-2000000", "2000000"), 2_000_001),
        (run("x", number="41"), 42),
        (run("x", number="2000000"), 1),
        (run("x", "ci-2000000", "2000000", proven=False), 1),
        (run("x", number="41", proven=False), 1),
        ({**run("x", number="41"), "spec": {"pipeline": {"name": "other"}}}, 1),
        (run("x", number="x"), 1),
    ],
)
async def test_without_the_ledger_the_known_runs_count_if_their_numbers_can_be_believed(
    known: Any, next_number: int
) -> None:
    assert await number(numbering(Ledger(), known), run("a")) == next_number
