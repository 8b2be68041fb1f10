"""Connects the app to a controller. The HTTP library is loaded here, after the first paint."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from workbench.tui.services.interfaces import Connect, ControllerApi, OnConnectionError

if TYPE_CHECKING:
    from workbench.client.endpoint import Endpoint


def connector(endpoint: Endpoint) -> Connect:
    """A way to this controller whose streams try for ever to come back."""

    def connect(on_trouble: OnConnectionError) -> AbstractAsyncContextManager[ControllerApi]:
        from workbench.client import Client

        return Client(endpoint, reconnect_timeout=None, on_connection_error=on_trouble)

    return connect
