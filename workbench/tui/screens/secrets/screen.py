"""The secrets that a pipeline uses, set or missing, and the others of the namespace. Values are never read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static

from workbench.client.errors import ClientError
from workbench.runs.secret_list import SecretRow, secret_rows, summary
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import is_going
from workbench.tui.keys import key_label
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.screens.secrets.dialog import SecretInput, SetSecretDialog
from workbench.tui.services.interfaces import ControllerApi, LaunchError
from workbench.tui.theme import Palette
from workbench.tui.user_work import user_work
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.segments import cell

_SIGNS = {"set": "✓", "missing": "✗", "unused": " "}
_STATES = {"set": "set", "missing": "missing", "unused": "set, not used here"}


class SecretList(ListView):
    """A row for each key of a secret."""

    HELP_TITLE: ClassVar[str] = "Secrets"
    ROW_ACTIONS: ClassVar[tuple[str, ...]] = ("open", "remove")
    OPENS: ClassVar[str] = "Set"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus", "add", "New secret", id="secrets.add", tooltip="Set a secret that is not in the list"),
        Binding("D,delete", "remove", "Delete", id="secrets.delete",
                tooltip="Delete the secret with all its keys (asks first)"),
    ]  # fmt: skip
    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("add", "remove")

    class AddRequested(Message):
        """The user wants to set a secret that is not in the list."""

    class DeleteRequested(Message):
        """The user wants to delete the secret under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: dict[str, SecretRow] = {}

    def show(self, rows: tuple[SecretRow, ...]) -> None:
        self.rows = {row.id: row for row in rows}
        self.show_keys(list(self.rows))

    def action_add(self) -> None:
        self.post_message(self.AddRequested())

    def action_remove(self) -> None:
        self.post_message(self.DeleteRequested())

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        row = self.rows[key]
        style = {"set": colours.success, "missing": colours.error, "unused": colours.muted}[row.state]
        names = max(min(width // 2, 48), 12)
        name = f"{sanitize_label(row.name, names)} / {sanitize_label(row.key, names)}"
        rest = max(width - names - 24, 0)
        return Strip(
            [
                Segment(f" {_SIGNS[row.state]} ", style),
                cell(name, names, colours.plain),
                cell(f" {_STATES[row.state]}", 20, style),
                cell(sanitize_label(row.users, rest), rest, colours.muted),
            ]
        )


class SecretsScreen(WorkbenchScreen):
    """Of the pipeline of a run, of `definition`, or else of this folder's pipeline."""

    CSS_PATH = "../details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,K", "app.pop_screen", "Back", id="secrets.back", tooltip="Go back"),
    ]

    def __init__(self, *, run: str | None = None, definition: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._run_name, self._definition = run, definition
        self._stored = False
        """Whether the list was loaded."""

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield Static("Loading …", id="secrets-summary", classes="details-hint", markup=False)
        yield SecretList(id="secrets")
        yield Static(id="secrets-note", classes="details-hint", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        self.show_breadcrumbs(*(("runs", self._run_name) if self._run_name else ()), "secrets")
        keys = {
            "opens": key_label(self.app, "rows.open", "Enter"), "adds": key_label(self.app, "secrets.add", "+"),
            "deletes": key_label(self.app, "secrets.delete", "D"),
        }  # fmt: skip
        note = "{opens} sets a value, {adds} adds a secret, {deletes} deletes one. Values are never shown."
        self.query_one("#secrets-note", Static).update(Text(note.format(**keys)))
        self.query_one(SecretList).focus()
        self._load()

    @property
    def current_run(self) -> str | None:
        return self._run_name

    def connection_changed(self) -> None:
        if not self._stored:
            self._load()

    @work(group="secrets", exclusive=True, description="list the secrets")
    async def _load(self) -> None:
        controller, said = self.workbench.feed.controller, self.query_one("#secrets-summary", Static)
        if not self._stored:
            said.update(self.loading_text("The secrets"))
        if controller is None or self.workbench.feed.connection_error is not None:
            return
        try:
            with self.keys_wait_for_list(loaded=self._stored):
                definition = await self._pipeline(controller)
                rows = secret_rows(definition, await controller.secrets())
                self.query_one(SecretList).show(rows)
        except (ClientError, LaunchError) as error:
            said.update(Text(f"The secrets can't be listed: {sanitize_label(str(error), 300)}"))
            return
        self._stored = True
        said.update(Text(summary(rows, str(definition["name"]) if definition is not None else None)))

    async def _pipeline(self, controller: ControllerApi) -> Mapping[str, Any] | None:
        """The definition whose secrets are listed. Raises ClientError, LaunchError."""
        launcher = self.workbench.launcher
        if self._definition is None and self._run_name is not None:
            run = await controller.run(self._run_name)
            self._definition = {"name": run.pipeline, **run.definition} if run.definition is not None else None
        elif self._definition is None and launcher is not None:
            self._definition = (await launcher.load()).definition
            if self._definition is None:
                raise LaunchError(f"{launcher.path.name} has errors; they are listed when you run it")
        return self._definition

    @on(ListView.Opened)
    def _set_opened(self, event: ListView.Opened) -> None:
        row = self.query_one(SecretList).rows.get(event.key)
        if row is not None:
            self._set(SetSecretDialog(row.name, row.key, exists=row.state != "missing"))

    @on(SecretList.AddRequested)
    def _add(self) -> None:
        self._set(SetSecretDialog())

    @user_work("set a secret")
    async def _set(self, dialog: SetSecretDialog) -> None:
        if self.workbench.read_only:
            self.workbench.refuse_to_write()
            return
        entered: SecretInput | None = await self.app.push_screen_wait(dialog)
        controller = self.workbench.feed.controller
        if entered is None or controller is None:
            return
        what = sanitize_label(f"{entered.name} / {entered.key}", 100)
        try:
            warnings = await controller.put_secret(entered.name, {entered.key: entered.value})
        except ClientError as error:
            message = sanitize_label(str(error), 300)
            self.notify(message, title=f"{what} is not set", severity="error", markup=False, timeout=15)
            return
        self.notify(f"{what} is set.", markup=False)
        for warning in warnings:
            self.notify(sanitize_label(warning, 300), severity="warning", markup=False, timeout=10)
        if not is_going(self):
            self._load()

    @on(SecretList.DeleteRequested)
    @user_work("delete a secret")
    async def _delete(self) -> None:
        secrets, controller = self.query_one(SecretList), self.workbench.feed.controller
        row = secrets.rows.get(secrets.cursor or "")
        if row is None or controller is None:
            return
        name = sanitize_label(row.name, 60)
        if row.state == "missing":
            self.notify(f"{name} / {sanitize_label(row.key, 60)} is not set.", markup=False)
            return
        keys = ", ".join(
            sanitize_label(each.key, 40) for each in secrets.rows.values()
            if each.name == row.name and each.state != "missing"
        )  # fmt: skip
        detail = f"All its keys are deleted: {keys}. Runs that have started keep their copy."
        if not await self.app.push_screen_wait(ConfirmDialog(f"Delete {name}?", detail, "Delete the secret")):
            return
        try:
            await controller.delete_secret(row.name)
        except ClientError as error:
            self.notify(sanitize_label(str(error), 300), title="Not deleted", severity="error", markup=False)
            return
        self.notify(f"{name} is deleted.", markup=False)
        if not is_going(self):
            self._load()
