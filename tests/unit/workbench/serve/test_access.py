"""Tickets and sessions of browsers."""

from __future__ import annotations

from itertools import count

import pytest

from workbench.serve.access import MAX_BROWSERS, SESSION_SECONDS, TICKET_SECONDS, Access, TicketError


class Clock:
    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    secrets = (f"secret {n}" for n in count())
    return Access(clock, lambda: next(secrets))


def test_a_ticket_works_once(access: Access) -> None:
    ticket = access.issue_ticket(read_only=False)
    browser = access.browser(access.redeem(ticket))
    assert browser is not None
    assert not browser.read_only
    with pytest.raises(TicketError, match="has been used"):
        access.redeem(ticket)


def test_the_link_decides_what_a_browser_may_do(access: Access) -> None:
    viewer = access.browser(access.redeem(access.issue_ticket(read_only=True)))
    assert viewer is not None
    assert viewer.read_only


def test_tickets_expire(access: Access, clock: Clock) -> None:
    ticket = access.issue_ticket(read_only=False)
    clock.time += TICKET_SECONDS
    with pytest.raises(TicketError, match="expired"):
        access.redeem(ticket)


@pytest.mark.parametrize("ticket", ["", "secret", "\ud800", "x" * 10_000])
def test_other_tickets_are_refused(access: Access, ticket: str) -> None:
    with pytest.raises(TicketError, match="not valid"):
        access.redeem(ticket)


def test_sessions_expire(access: Access, clock: Clock) -> None:
    secret = access.redeem(access.issue_ticket(read_only=False))
    clock.time += SESSION_SECONDS - 1
    assert access.browser(secret) is not None
    clock.time += 1
    assert access.browser(secret) is None
    assert access.browser("another") is None


def test_browsers_are_limited_and_expired_ones_make_room(access: Access, clock: Clock) -> None:
    for _ in range(MAX_BROWSERS):
        access.redeem(access.issue_ticket(read_only=False))
    ticket = access.issue_ticket(read_only=False)
    with pytest.raises(TicketError, match="signed in already"):
        access.redeem(ticket)
    clock.time += SESSION_SECONDS
    assert access.browser(access.redeem(access.issue_ticket(read_only=False))) is not None
