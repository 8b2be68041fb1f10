"""The file with which a teammate gets access: read with distrust, stored in private files."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workbench.config.access_file import AccessFile, parse_access, save_access
from workbench.config.contexts import ContextError, read_contexts

ACCESS = AccessFile("team", "https://c8s.example.org", "web", "t-" + "x" * 300, datetime(2026, 11, 30, 8, tzinfo=UTC))


def test_what_is_written_is_read_again() -> None:
    assert parse_access(ACCESS.render("for alice"), "a") == ACCESS


def test_it_becomes_a_context_whose_token_only_its_owner_reads(tmp_path: Path) -> None:
    stored = save_access(tmp_path / "config.yaml", ACCESS, replace=False)
    assert stored.stat().st_mode & 0o777 == 0o600
    found = read_contexts(tmp_path / "config.yaml")
    assert (found.current, found.get("team").namespace, found.get("team").token_file) == ("team", "web", stored)
    assert stored.read_text().strip() == ACCESS.token
    assert ACCESS.token not in (tmp_path / "config.yaml").read_text() + repr(ACCESS)


def test_another_context_of_that_name_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("contexts:\n  - {name: team, server: 'https://other.example.org', tokenFile: team.token}\n")
    with pytest.raises(ContextError, match="--as"):
        save_access(file, ACCESS, replace=False)
    assert not (tmp_path / "team.token").exists()
    save_access(file, ACCESS, replace=True)
    save_access(file, ACCESS, replace=False)  # A renewed token of the same controller.
    assert read_contexts(file).get("team").url == ACCESS.server


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("access", "v2", "update it"),
        ("server", "http://c8s.example.org", "expose the token"),
        ("server", "file:///etc/passwd", "must be a URL"),
        ("server", "https://[", "must be a URL"),
        ("name", "../../etc/x", "name is missing or not valid"),
        ("name", 7, "name is missing or not valid"),
        ("namespace", "a/b", "namespace is missing or not valid"),
        ("token", "two\nlines", "token is missing or not valid"),
        ("token", "\x1b[31m", "token is missing or not valid"),
        ("expires", "tomorrow", "expires is no time"),
        ("expires", "2026-11-30T08:00:00", "no time zone"),
    ],
)
def test_a_field_that_is_not_acceptable_is_named(field: str, value: Any, why: str) -> None:
    raw = {**yaml.safe_load(ACCESS.render("")), field: value}
    with pytest.raises(ContextError, match=why):
        parse_access(yaml.safe_dump(raw), "a")


@given(st.one_of(st.text(), st.dictionaries(st.sampled_from(["access", "name", "server", "token", "expires"]),
       st.one_of(st.just("v1"), st.text(), st.integers(), st.none(), st.lists(st.text())))
       .map(yaml.safe_dump)))  # fmt: skip
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    with suppress(ContextError):
        assert isinstance(parse_access(text, "a"), AccessFile)
