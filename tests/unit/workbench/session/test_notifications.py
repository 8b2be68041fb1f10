"""The history of notifications."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workbench.session.notifications import NotificationHistory

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_notifications_are_newest_first() -> None:
    history = NotificationHistory()
    history.add(NOON, "information", "", "first")
    history.add(NOON, "error", "Title", "second")
    assert [message.text for message in history.newest_first()] == ["second", "first"]


def test_repeated_notification_is_counted() -> None:
    history = NotificationHistory()
    for seconds in range(3):
        history.add(NOON + timedelta(seconds=seconds), "warning", "", "the same")
    history.add(NOON, "error", "", "the same")
    newest, before = history.newest_first()
    assert (newest.count, before.count, before.at.second) == (1, 3, 2)


def test_history_is_limited() -> None:
    history = NotificationHistory()
    for number in range(700):
        history.add(NOON, "information", "", str(number))
    assert len(history) == 500
    assert next(history.newest_first()).text == "699"
