"""The screen of pushes: what came in, why it did or did not start a run, and having it handled again."""

from __future__ import annotations

from dataclasses import replace

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, hello
from workbench.client.connections import Connection, Delivery, DeliveryRun
from workbench.client.errors import ClientError
from workbench.tui.screens.deliveries import DeliveriesScreen
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.screens.runs import RunsScreen

STARTED = Delivery(
    "app", "d1", "2026-11-29T10:00:00Z", "push", "Started", "push to main", "a" * 40,
    runs=(DeliveryRun("hello-7", "Failed", "StepFailed", "count failed: exit code 1"),),
)  # fmt: skip
IGNORED = Delivery(
    "app", "d2", "2026-11-29T10:01:00Z", "push", "Ignored", "push to topic",
    reason="pipeline hello: the branch topic matches none of: main",
)  # fmt: skip
EXAMPLES = (
    STARTED,
    IGNORED,
    Delivery(
        "app", "d3", "2026-11-29T10:02:00Z", "pull_request", "Started", "pull request 12 of octo", "b" * 40,
        runs=(DeliveryRun("hello-8", "Queued", "ApprovalRequired", "waits for an approval: it is from a fork"),),
    ),
    Delivery(
        "infrastructure-of-the-whole-company", "d4", "2026-11-29T09:02:00Z", "push", "Refused", "push to main",
        reason="the signature is not valid",
    ),
    Delivery(
        "app", "d5", "2026-11-29T08:02:00Z", "tag", "Started", "tag v1.0", "d" * 40,
        runs=(DeliveryRun("hello-6", "Succeeded", "", ""), DeliveryRun("hello-5", None, None, None)),
        replayed="c8s-workbench",
    ),
)  # fmt: skip


def connected(*deliveries: Delivery) -> FakeWorkbench:
    app = FakeWorkbench([hello(7, "Failed")])
    app.controller.known_connections = (
        Connection("app", "https://git.example.org/octo/app", "gitea", "approve", "run", deliveries=deliveries),
    )
    return app


async def test_says_why_each_delivery_did_or_did_not_start_a_run() -> None:
    app = connected(STARTED, IGNORED)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("P")
        # The newest is first, and below the list is why.
        await until(pilot, sees(app, "1 connection.", "push to topic", "It started nothing: pipeline hello"))
        await pilot.press("enter")
        await until(pilot, sees(app, "It has no run"))
        await pilot.press("down")
        await until(pilot, sees(app, "push to main at aaaaaaaaaaaa", "The run hello-7: Failed"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DeliveriesScreen))
        assert "push to main at aaaaaaaaaaaa" in shown(app), "the cursor is where it was"
        await pilot.press("P")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_back_returns_to_where_one_was() -> None:
    app = connected(STARTED)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        first = app.screen
        await pilot.press("P")
        await until(pilot, sees(app, "push to main at aaaaaaaaaaaa"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert app.screen is not first
        await pilot.press("P")
        await until(pilot, lambda: isinstance(app.screen, DeliveriesScreen))
        assert len(app.screen_stack) == 4, "the list, the run, the deliveries: not another list of deliveries"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is first)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_a_delivery_is_handled_again_on_confirmation() -> None:
    app = connected(IGNORED)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("P")
        await until(pilot, sees(app, "push to topic"))
        await pilot.press("B")
        await until(pilot, sees(app, "Handle the push to topic again?"))
        await pilot.press("y")
        await until(pilot, sees(app, "It starts nothing: the branch x matches none of: main"))
        assert app.controller.replayed == [("app", "d2")]


async def test_without_a_connection_it_says_how_to_make_one_and_with_an_error_what_is_wrong() -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("P")
        await until(pilot, sees(app, "No repository is connected; `c8s connect add URL` connects one."))
        app.controller.error = ClientError("you may not list connections")
        app.change_run(hello(8))
        await until(pilot, sees(app, "The deliveries can't be listed: you may not list connections"))
        await pilot.press("enter", "B")
        assert isinstance(app.screen, DeliveriesScreen)


async def test_text_of_strangers_is_plain_text() -> None:
    hostile = replace(IGNORED, about="push to \x1b[31m[red]x[/]", reason="\x1b]0;evil\x07[b]no[/b]")
    app = connected(hostile)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("P")
        await until(pilot, sees(app, "[red]x[/]", "[b]no[/b]"))
        assert "\x1b" not in shown(app)


async def test_a_strangers_run_is_approved_at_the_commit_that_is_shown() -> None:
    waiting = replace(hello(7, "Queued"), reason="ApprovalRequired", commit="c" * 40)
    app = FakeWorkbench([waiting])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("L")
        await until(pilot, sees(app, "Let hello-7 start?", "c" * 40))
        await pilot.press("y")
        await until(pilot, sees(app, "hello-7 is approved."))
        assert app.controller.approved == [("hello-7", "c" * 40)]
        app.controller.error = ClientError("you may not approve runs")
        await pilot.press("L", "y")
        await until(pilot, sees(app, "you may not approve runs"))
        app.controller.error = None
        app.change_run(hello(7))
        await until(pilot, lambda: "Queued" not in shown(app))
        await pilot.press("L")
        await until(pilot, sees(app, "hello-7 does not wait for an approval."))
        assert len(app.controller.approved) == 1
