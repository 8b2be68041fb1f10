"""Errors of bundles, with messages for the user."""

from __future__ import annotations

from workbench.client.errors import ClientError


class BundleError(ClientError):
    """A file is not a bundle, is damaged, or was made to harm; the message says what was found.

    It is a ClientError, because the workbench reads a bundle where it otherwise reads a controller.
    """

    is_final = True


class NoControllerError(ClientError):
    """What was asked for takes a controller, and a bundle has none."""

    is_final = True
