"""Who calls and what they may do: what is asked of Kubernetes, and for how long the answer is remembered."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.api.auth.authenticator import (
    AccessRequest,
    Authenticator,
    InvalidTokenError,
    TicketGrant,
    Tickets,
    User,
)
from tests.support.clock import FakeClock

LIST = AccessRequest(verb="list", group="c8s.dev", resource="pipelineruns", namespace="a")


class Kubernetes:
    """Knows one token and one right, and counts the questions."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.token = "good"
        self.allowed = True

    async def __call__(self, review: Mapping[str, Any], /) -> Mapping[str, Any]:
        self.asked.append(review)
        if review["kind"] == "TokenReview":
            known = review["spec"]["token"] == self.token
            return {
                "authenticated": known,
                "user": {"username": "ann", "uid": "1", "groups": ["dev"]} if known else {},
            }
        return {"allowed": self.allowed}


async def test_a_token_is_asked_about_once_in_ten_seconds() -> None:
    clock, kubernetes = FakeClock(), Kubernetes()
    authenticator = Authenticator(kubernetes, clock)
    assert await authenticator.authenticate("good") == User("ann", "1", ("dev",))
    clock.now = 9.9
    await authenticator.authenticate("good")
    assert len(kubernetes.asked) == 1
    clock.now = 10.1
    kubernetes.token = "other"
    with pytest.raises(InvalidTokenError):
        await authenticator.authenticate("good")


async def test_a_refused_token_is_asked_about_again_soon() -> None:
    clock, kubernetes = FakeClock(), Kubernetes()
    authenticator = Authenticator(kubernetes, clock)
    for _ in range(2):
        with pytest.raises(InvalidTokenError):
            await authenticator.authenticate("new")
    kubernetes.token = "new"
    clock.now = 2.1
    assert (await authenticator.authenticate("new")).name == "ann"
    assert len(kubernetes.asked) == 2


@pytest.mark.parametrize("token", ["a\nb", "a\x00", "ü", "x" * 20_000, "\ud800"])
async def test_impossible_token_is_not_sent_to_kubernetes(token: str) -> None:
    kubernetes = Kubernetes()
    with pytest.raises(InvalidTokenError):
        await Authenticator(kubernetes, FakeClock()).authenticate(token)
    assert kubernetes.asked == []


async def test_revoked_permission_expires_within_ten_seconds() -> None:
    clock, kubernetes = FakeClock(), Kubernetes()
    authenticator, ann = Authenticator(kubernetes, clock), User("ann")
    assert await authenticator.is_allowed(ann, LIST)
    kubernetes.allowed = False
    assert await authenticator.is_allowed(ann, LIST)
    clock.now = 10.1
    assert not await authenticator.is_allowed(ann, LIST)


async def test_one_users_right_is_not_anothers() -> None:
    kubernetes = Kubernetes()
    authenticator = Authenticator(kubernetes, FakeClock())
    assert await authenticator.is_allowed(User("ann"), LIST)
    kubernetes.allowed = False
    assert not await authenticator.is_allowed(User("bob"), LIST)
    assert not await authenticator.is_allowed(User("ann", groups=("x",)), LIST)


async def test_the_question_carries_the_whole_user() -> None:
    kubernetes = Kubernetes()
    user = User("ann", "1", ("dev",), (("scope", ("x",)),))
    await Authenticator(kubernetes, FakeClock()).is_allowed(user, LIST)
    assert kubernetes.asked[0]["spec"] == {
        "user": "ann",
        "uid": "1",
        "groups": ["dev"],
        "extra": {"scope": ["x"]},
        "resourceAttributes": {
            "verb": "list",
            "group": "c8s.dev",
            "resource": "pipelineruns",
            "namespace": "a",
        },
    }


async def test_a_denial_wins_over_a_permission() -> None:
    async def both(review: Mapping[str, Any], /) -> Mapping[str, Any]:
        return {"allowed": True, "denied": True}

    assert not await Authenticator(both, FakeClock()).is_allowed(User("ann"), LIST)


def test_a_ticket_opens_one_socket_within_its_time() -> None:
    clock = FakeClock()
    tickets = Tickets(clock)
    admission = TicketGrant(User("ann"), "secret-token", "/logs/stream")
    ticket = tickets.issue(admission)
    assert tickets.redeem(ticket, "/logs/stream") == admission
    with pytest.raises(InvalidTokenError):
        tickets.redeem(ticket, "/logs/stream")
    late = tickets.issue(admission)
    clock.now = 30.1
    with pytest.raises(InvalidTokenError):
        tickets.redeem(late, "/logs/stream")
    with pytest.raises(InvalidTokenError):
        tickets.redeem("guess", "/logs/stream")


def test_ticket_is_spent_by_the_wrong_path() -> None:
    tickets = Tickets(FakeClock())
    admission = TicketGrant(User("ann"), "secret-token", "/logs/stream")
    ticket = tickets.issue(admission)
    for path in ("/exec", "/logs/stream"):
        with pytest.raises(InvalidTokenError):
            tickets.redeem(ticket, path)
    assert "secret-token" not in repr(admission)
