"""What was said in passing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workbench.session.notifications import NotificationHistory

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_notifications_are_newest_first() -> None:
    said = NotificationHistory()
    said.add(NOON, "information", "", "first")
    said.add(NOON, "error", "Title", "second")
    assert [message.text for message in said.newest_first()] == ["second", "first"]


def test_repeated_notification_is_counted() -> None:
    said = NotificationHistory()
    for seconds in range(3):
        said.add(NOON + timedelta(seconds=seconds), "warning", "", "the same")
    said.add(NOON, "error", "", "the same")
    newest, before = said.newest_first()
    assert (newest.count, before.count, before.at.second) == (1, 3, 2)


def test_history_is_limited() -> None:
    said = NotificationHistory()
    for number in range(700):
        said.add(NOON, "information", "", str(number))
    assert len(said) == 500
    assert next(said.newest_first()).text == "699"
