"""The footer shows the keys that the state of a run asks for."""

from __future__ import annotations

from dataclasses import replace

from tests.support.tui.fakes import hello, step
from workbench.client.models import SavedWorkspace
from workbench.runs.footer import FOLLOW, choose_actions, footer_actions, other_screen_actions

SHOWN = ["run.details", "run.back", "app.run", "app.edit", "app.cancel", "run.resume", "app.help", "app.quit"]
WIDTHS = [10] * len(SHOWN)


def test_failed_run_offers_to_go_on() -> None:
    failed = step("greet", (), "Failed")
    assert footer_actions(hello(7, "Failed"), failed) == ("run.resume", "run.rerun", "app.edit")
    saved = replace(failed, attempts=(replace(failed.attempts[0], saved_workspace=SavedWorkspace(1, 1)),))
    assert footer_actions(hello(7, "Failed"), saved)[0] == "run.shell"


def test_live_run_offers_to_follow_and_to_cancel() -> None:
    assert footer_actions(hello(7, "Running"), step("a")) == (*FOLLOW, "app.cancel")
    assert footer_actions(hello(7, "Running"), step("a", (), "Running"))[-1] == "run.shell"


def test_succeeded_run_offers_to_rerun_and_compare() -> None:
    assert footer_actions(hello(7), None)[:2] == ("run.rerun", "run.compare")


def shown(wanted: tuple[str, ...], width: int) -> list[str]:
    return [SHOWN[at] for at in choose_actions(wanted, SHOWN, WIDTHS, width)]


def test_wanted_actions_come_first() -> None:
    assert shown(("run.resume", "app.edit"), 100)[:3] == ["run.resume", "app.edit", "run.details"]


def test_actions_that_the_state_rules_out_are_not_shown() -> None:
    assert "app.cancel" not in shown(("run.resume",), 100)


def test_what_does_not_fit_is_left_out_but_help_stays() -> None:
    assert shown(("run.resume", "app.edit"), 45) == ["run.resume", "app.edit", "run.details", "app.help"]


def test_order_stays_where_wanted_actions_do_not_come_first() -> None:
    chosen = choose_actions(("app.edit", "app.cancel"), SHOWN, WIDTHS, 100, first=False)
    assert [SHOWN[at] for at in chosen] == [name for name in SHOWN if name != "run.resume"]
    assert "app.cancel" in other_screen_actions(hello(7, "Running"))
    assert "app.cancel" not in other_screen_actions(hello(7)) + other_screen_actions(None)
