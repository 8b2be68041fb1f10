"""Connects the app to a controller. The HTTP library is loaded here, after the first paint."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from workbench.tui.services.interfaces import Connect, Controller, OnTrouble

if TYPE_CHECKING:
    from workbench.client.endpoint import Endpoint


def connector(endpoint: Endpoint) -> Connect:
    """A way to this controller whose streams try for ever to come back."""

    def connect(on_trouble: OnTrouble) -> AbstractAsyncContextManager[Controller]:
        from workbench.client import Client

        return Client(endpoint, patience=None, on_trouble=on_trouble)

    return connect
