"""Which events start a run, and the reason when one does not."""

from __future__ import annotations

import pytest

from controller.pipeline.match import Event, match, skip_reason


def test_a_push_to_a_branch_of_the_pipeline_starts_a_run() -> None:
    assert match(Event("push", "main"), {"branches": ["main"]}).runs


def test_another_branch_does_not_and_the_reason_names_the_patterns() -> None:
    found = match(Event("push", "topic"), {"branches": ["main", "release/*"]})
    assert not found.runs
    assert "topic" in found.reason
    assert "release/*" in found.reason


def test_a_pull_request_is_matched_by_the_branch_that_it_is_merged_into() -> None:
    pipeline = {"events": ["pull_request"], "branches": ["main"]}
    assert match(Event("pull_request", "main"), pipeline).runs
    assert not match(Event("pull_request", "topic"), pipeline).runs


def test_a_tag_is_not_matched_by_branches() -> None:
    assert match(Event("tag", tag="v1"), {"events": ["tag"], "branches": ["main"]}).runs
    assert "tag" in match(Event("tag", tag="v1"), {}).reason


def test_paths_hold_when_the_changed_files_are_unknown() -> None:
    pipeline = {"paths": ["src/**"]}
    assert match(Event("push", "main", changed=("src/a",)), pipeline).runs
    assert not match(Event("push", "main", changed=("docs/a",)), pipeline).runs
    assert not match(Event("push", "main", changed=()), pipeline).runs
    assert match(Event("push", "main", changed=None), pipeline).runs


@pytest.mark.parametrize("words", ["[skip ci]", "[ci skip]", "[no ci]", "[SKIP CI]"])
def test_a_commit_that_says_so_starts_no_run(words: str) -> None:
    found = match(Event("push", "main", message=f"Update\n\n{words}"), {})
    assert not found.runs
    assert words in found.reason


@pytest.mark.parametrize("message", ["skip ci", "[skip] ci", "[skip\tci]", "[skip ci"])
def test_other_words_do_not_count(message: str) -> None:
    assert match(Event("push", "main", message=message), {}).runs


def test_a_deletion_starts_no_run_and_says_what_was_deleted() -> None:
    assert skip_reason(Event("push", "old", deleted=True)) == "the branch old was deleted"
    assert skip_reason(Event("tag", tag="v1", deleted=True)) == "the tag v1 was deleted"
    assert not match(Event("push", "main", deleted=True), {}).runs
