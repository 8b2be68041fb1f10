"""The screen of secrets: which are set, and setting and deleting them without showing any value."""

from __future__ import annotations

from dataclasses import replace

from textual import events
from textual.widgets import Input

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello
from workbench.client import SecretNames
from workbench.client.errors import ClientError
from workbench.pipeline_file.load import LintOutcome
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.screens.secrets.dialog import SecretInput, SetSecretDialog
from workbench.tui.screens.secrets.screen import SecretsScreen

PIPELINE = {
    "name": "shop",
    "steps": [
        {"name": "build", "secrets": [{"secretRef": "npm", "key": "token"}]},
        {"name": "deploy", "secrets": [{"secretRef": "ssh", "key": "key"}]},
    ],
}


def shop() -> FakeWorkbench:
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), PIPELINE)
    app = FakeWorkbench([hello(7)], launcher=launcher)
    app.controller.stored_secrets = (SecretNames("npm", ("token",)), SecretNames("aws", ("id", "key")))
    return app


async def test_lists_what_the_pipeline_uses_and_what_is_missing() -> None:
    app = shop()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("K")
        await until(pilot, sees(app, "shop uses 2 secrets, 1 is missing.", "✓ npm / token", "✗ ssh / key", "deploy"))
        assert "set, not used here" in shown(app)
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_a_value_is_typed_unseen_and_never_shown() -> None:
    app = shop()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("K")
        await until(pilot, sees(app, "✗ ssh / key"))
        await pilot.press("down", "enter")
        await until(pilot, sees(app, "Set ssh / key"))
        await pilot.press(*"hunter2")
        await until(pilot, sees(app, "•••••••"))
        assert "hunter2" not in shown(app)
        await pilot.press("shift+home", "ctrl+c", "end", "enter")
        await until(pilot, sees(app, "ssh / key is set.", "✓ ssh / key", "all are set"))
        assert app.controller.secret_values == {"ssh": {"key": "hunter2"}}
        assert "hunter2" not in app.clipboard
        assert "hunter2" not in repr(list(app.messages.newest_first()))


async def test_a_pasted_key_keeps_its_lines() -> None:
    app, pem = shop(), "-----BEGIN KEY-----\nabc\ndef\n-----END KEY-----\n"
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("K")
        await until(pilot, sees(app, "✗ ssh / key"))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, SetSecretDialog))
        app.post_message(events.Paste(pem))
        await until(pilot, sees(app, "5 lines"))
        await pilot.press("enter")
        await until(pilot, lambda: app.controller.secret_values == {"ssh": {"key": pem}})


async def test_a_new_secret_is_added() -> None:
    app = shop()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("K")
        await until(pilot, sees(app, "✗ ssh / key"))
        await pilot.press("plus", *"Bad", "enter", *"user", "enter", *"abc", "enter")
        await until(pilot, sees(app, "A name has lower-case letters"))
        app.screen.query_one("#secret-name", Input).value = "db"
        await pilot.press("enter")
        await until(pilot, sees(app, "db / user", "user is too short to be masked"))


async def test_a_secret_is_deleted_with_all_its_keys_on_confirmation() -> None:
    app = shop()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("K")
        await until(pilot, sees(app, "aws / id"))
        await pilot.press("end", "D")
        await until(pilot, sees(app, "Delete aws?", "id, key"))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, SecretsScreen) and "aws / id" not in shown(app))


async def test_a_refusal_is_reported_without_the_value() -> None:
    app = shop()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("K")
        await until(pilot, sees(app, "✗ ssh / key"))
        await pilot.press("down", "enter", *"hunter2")
        app.controller.error = ClientError("you may not set secrets")
        await pilot.press("enter")
        await until(pilot, sees(app, "ssh / key is not set", "you may not set secrets"))
        assert "hunter2" not in repr(list(app.messages.newest_first()))


async def test_missing_secrets_can_be_set_from_the_question_before_a_run() -> None:
    app = shop()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        app.change_run(replace(hello(7), pipeline="shop"))
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("r")
        await until(pilot, sees(app, "1 secret that the run needs is missing", "Set them"))
        await pilot.press("enter")
        await until(pilot, sees(app, "shop uses 2 secrets, 1 is missing."))


def test_a_value_is_not_in_the_representation() -> None:
    assert "hunter2" not in repr(SecretInput("ssh", "key", "hunter2"))
