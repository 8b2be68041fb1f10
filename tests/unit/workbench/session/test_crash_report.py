"""Crash reports hold the traceback and no private data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench.session.crash_report import format_crash_report, redact, save_report, take_unseen_report

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def failed(message: str) -> Exception:
    local_token = "in-a-variable"
    try:
        raise KeyError(message) from ValueError(local_token[:0] + "the cause")
    except KeyError as error:
        return error


def test_report_holds_traceback_without_private_data() -> None:
    text = format_crash_report(failed(f"{Path.home()}/shop"), {"c8s": "1.0"}, NOON, Path.home())
    assert "c8s: 1.0" in text
    assert "ValueError: the cause" in text
    assert "in failed" in text
    assert "~/shop" in text
    assert str(Path.home()) not in text
    assert "in-a-variable" not in text.replace('local_token = "in-a-variable"', "")


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Bearer abc.def-ghi",
        "token=abc.def-ghi",
        '{"password": "abc.def-ghi"}',
        "https://me:abc.def-ghi@example.org/x",
        "API_KEY: 'abc.def-ghi'",
    ],
)
def test_secrets_are_redacted(secret: str) -> None:
    assert "abc.def-ghi" not in redact(f"it was {secret} and so on")
    assert "and so on" in redact(f"it was {secret} and so on")


def test_long_tokens_are_redacted_and_long_lines_cut() -> None:
    assert "c0ffee" not in redact("c0ffee" * 8)
    assert len(format_crash_report(failed("word " * 100_000), {}, NOON, None)) < 20_000


def test_reports_are_private_and_announced_once(tmp_path: Path) -> None:
    folder = tmp_path / "crashes"
    save_report(folder, "first", NOON)
    second = save_report(folder, "second \udcff", NOON + timedelta(seconds=1))
    assert sorted(path.name for path in folder.glob("crash-*"))[-1] == second.name
    assert second.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
    assert take_unseen_report(folder) == second
    assert take_unseen_report(folder) is None


def test_removed_report_is_not_announced(tmp_path: Path) -> None:
    save_report(tmp_path, "text", NOON).unlink()
    assert take_unseen_report(tmp_path) is None


def test_marker_cannot_point_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "crashes"
    folder.mkdir()
    (folder / "last").write_text("../secret")
    assert take_unseen_report(folder) is None
