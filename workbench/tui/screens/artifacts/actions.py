"""Saving an artifact, and opening it in another program."""

from __future__ import annotations

from pathlib import Path

from textual import work

from workbench.client.errors import ClientError
from workbench.client.models import Artifact
from workbench.logs.save import SaveError, reserve_path
from workbench.session.downloads import downloads_folder
from workbench.submit.worktree import tree_root
from workbench.text.format import plural
from workbench.text.sanitize import sanitize_label
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.terminal.external_programs import open_file, temporary_folder
from workbench.tui.terminal.served import is_served
from workbench.tui.user_work import user_work


class ArtifactActions(WorkbenchScreen):
    """A screen with artifacts of a run."""

    @user_work("save an artifact")
    async def save_artifact(self, run: str, artifact: Artifact) -> None:
        """Save it outside of the working tree."""
        controller = self.workbench.feed.controller
        if controller is None:
            return
        if is_served():
            # The browser saves what it is given, as for one that is opened.
            self.open_artifact(run, artifact)
            return
        try:
            with reserve_path(downloads_folder(tree_root(None, Path.cwd())), _name(artifact)) as target:
                size = await controller.download_file(run, artifact.step, artifact.path, target)
        except (ClientError, SaveError, OSError) as error:
            self.notify(sanitize_label(str(error), 400), title="Not saved", severity="error", markup=False)
            return
        self.notify(f"Saved {plural(size, 'byte')} to {sanitize_label(str(target), 200)}", markup=False)

    @work(group="artifact", exclusive=True, description="open an artifact")
    async def open_artifact(self, run: str, artifact: Artifact) -> None:
        """Open a temporary copy, which is deleted when the workbench exits."""
        try:
            target = await self.fetch_copy(run, artifact)
        except (ClientError, SaveError, OSError) as error:
            self.notify(sanitize_label(str(error), 400), title="Not opened", severity="error", markup=False)
            return
        if target is not None:
            await open_file(self.app, target)

    async def fetch_copy(self, run: str, artifact: Artifact) -> Path | None:
        """Download it into a private folder; None without a connection. Raises ClientError, SaveError, OSError."""
        controller = self.workbench.feed.controller
        if controller is None:
            return None
        with reserve_path(temporary_folder(), _name(artifact)) as target:
            await controller.download_file(run, artifact.step, artifact.path, target)
        return target


def _name(artifact: Artifact) -> str:
    return artifact.path.rsplit("/", 1)[-1]
