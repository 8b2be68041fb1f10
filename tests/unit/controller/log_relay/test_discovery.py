"""Who leads, and where: what the Lease says, and what is not taken for an address."""

from typing import Any

import pytest

from controller import labels
from controller.kube import NotFoundError, UnreachableError
from controller.log_relay import NoLeaderError, leader_address


class LeaseAnswer:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def get(self, *_: Any, timeout: float) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def lease(holder: str, address: str | None) -> dict[str, Any]:
    annotations = {} if address is None else {"annotations": {labels.ADDRESS: address}}
    return {"metadata": {"name": "c8s-operator", **annotations}, "spec": {"holderIdentity": holder}}


async def find_address(answer: Any) -> str:
    client: Any = LeaseAnswer(answer)
    return await leader_address(client, "c8s-system", "c8s-operator")


@pytest.mark.parametrize("address", ["http://10.0.0.7:8081", "http://[fd00::7]:8081"])
async def test_the_lease_names_its_holders_address(address: str) -> None:
    assert await find_address(lease("a", address)) == address


@pytest.mark.parametrize(
    "answer",
    [
        lease("", "http://10.0.0.7:8081"),
        lease("a", None),
        lease("a", ""),
        lease("a", "file:///etc/passwd"),
        lease("a", "http://user@10.0.0.7:8081"),
        lease("a", "http://10.0.0.7:8081/else"),
        NotFoundError("none", status=404),
        UnreachableError("no answer"),
    ],
)
async def test_without_a_holder_or_its_address_there_is_no_leader(answer: Any) -> None:
    with pytest.raises(NoLeaderError):
        await find_address(answer)
