"""Asks before a run is started that would fail for secrets that do not exist."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from textual.app import App

from workbench.client.errors import ForbiddenError
from workbench.client.models import Run
from workbench.tui.screens.dialogs import ChoiceDialog
from workbench.tui.services.interfaces import ControllerApi

_MAX_SHOWN = 8
"""Maximum number of secrets that the question lists."""


async def ask_about_secrets(
    app: App[int],
    controller: ControllerApi,
    definition: Mapping[str, Any],
    *,
    run: Run | None = None,
    reused: Collection[str] = (),
    options: str = "",
) -> asyncio.Future[str | None] | None:
    """Open a question if secrets of the pipeline are missing; `accepted` tells what follows from its answer.

    Args:
        run: the run that is run again, for its branch and event; None for a new one.
        reused: names of steps that do not run again.
        options: they select the controller in the commands that set the secrets.

    Raises:
        ClientError: the secrets can't be listed.
    """
    from workbench.runs.missing_secrets import (
        missing_secrets,
        missing_secrets_text,
        missing_secrets_title,
        trigger_context,
        uses_secrets,
    )

    if not uses_secrets(definition):
        return None
    try:
        stored = await controller.secrets()
    except ForbiddenError:
        # Who may start runs need not be permitted to list secrets. The run reports a missing one at its step.
        return None
    # The branch of a new run is known only when the working tree is packed.
    context = trigger_context(run.event if run is not None else "push", run.branch if run is not None else None)
    missing = missing_secrets(definition, stored, context, branch_known=run is not None, reused=reused)
    if not missing:
        return None
    more = len(missing) - _MAX_SHOWN
    detail = missing_secrets_text(missing[:_MAX_SHOWN], options) + (f"\n  and {more} more" if more > 0 else "")
    detail = f"Set them here, or in a terminal:\n{detail}"
    choices = {"set": "Set them", "run": "Run anyway"}
    return app.push_screen(ChoiceDialog(missing_secrets_title(missing), detail, choices), wait_for_dismiss=True)


async def accepted(app: App[int], definition: Mapping[str, Any], answer: asyncio.Future[str | None] | None) -> bool:
    """Whether to start the run; the screen of the secrets is opened for a user who wants to set them first."""
    choice = await answer if answer is not None else "run"
    if choice == "set":
        from workbench.tui.screens.secrets.screen import SecretsScreen

        app.push_screen(SecretsScreen(definition=definition))
    return choice == "run"
