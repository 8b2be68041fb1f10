"""What ends the tour."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from workbench.cli.commands.tour import _signals_as_interrupts


@pytest.fixture
def _ignored_interrupts() -> Iterator[None]:
    """As for a program that a script starts in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ignored_interrupts")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_tour_where_interrupts_are_ignored(sign: signal.Signals) -> None:
    received: list[int] = []
    with pytest.raises(KeyboardInterrupt), _signals_as_interrupts(received):
        signal.raise_signal(sign)
    assert received == [sign]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
