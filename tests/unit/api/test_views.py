"""Runs as people see them, and pages of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.problems import ApiProblem
from controller.api.views import page, run_view


def run(name: str, created: str = "2026-01-01T00:00:00Z", number: str = "1", **status: Any) -> dict[str, Any]:
    labels = {"c8s.dev/pipeline": "app", "c8s.dev/run-number": number}
    meta = {
        "name": name,
        "namespace": "a",
        "uid": "u",
        "resourceVersion": "5",
        "creationTimestamp": created,
        "labels": labels,
    }
    return {
        "metadata": meta,
        "spec": {"pipeline": {"name": "app", "steps": []}, "cancel": True},
        "status": status,
    }


def test_a_run_always_has_a_phase() -> None:
    assert run_view(run("x"), definition=False)["status"] == {"phase": "Pending"}


def test_the_definition_is_there_when_asked_for() -> None:
    assert run_view(run("x"), definition=True)["definition"] == {"name": "app", "steps": []}
    assert "definition" not in run_view(run("x"), definition=False)


def test_a_run_made_by_hand_without_labels_is_shown_too() -> None:
    found = run_view({"metadata": {"name": "x", "namespace": "a"}, "spec": {}}, definition=True)
    assert (found["number"], found["pipeline"], found["cancelRequested"]) == (None, None, False)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 99)), unique=True, max_size=30), st.integers(1, 7))
def test_pages_together_are_the_whole_list_newest_first(keys: list[tuple[int, int]], limit: int) -> None:
    runs = [run(f"r{second}-{number}", f"2026-01-01T00:00:0{second}Z", str(number)) for second, number in keys]
    found, token = [], None
    while True:
        part = page(runs, limit=limit, after=token, phases=set(), pipeline=None)
        assert len(part.items) <= limit
        found += [each["metadata"]["name"] for each in part.items]
        token = part.next
        if token is None:
            break
    assert found == [f"r{second}-{number}" for second, number in sorted(keys, reverse=True)]


def test_runs_that_are_created_meanwhile_shift_nothing() -> None:
    old = [run(f"r{n}", number=str(n)) for n in range(1, 5)]
    first = page(old, limit=2, after=None, phases=set(), pipeline=None)
    second = page([run("r9", number="9"), *old], limit=2, after=first.next, phases=set(), pipeline=None)
    assert [each["metadata"]["name"] for each in second.items] == ["r2", "r1"]


def test_filters_by_phase_and_pipeline() -> None:
    runs = [run("x", phase="Failed"), run("y", phase="Running"), run("z")]
    assert [
        r["metadata"]["name"] for r in page(runs, limit=9, after=None, phases={"Failed"}, pipeline="app").items
    ] == ["x"]
    assert [
        r["metadata"]["name"] for r in page(runs, limit=9, after=None, phases={"Pending"}, pipeline=None).items
    ] == ["z"]
    assert page(runs, limit=9, after=None, phases=set(), pipeline="other").items == []


@given(st.text(max_size=60))
def test_a_token_that_was_not_given_is_refused(token: str) -> None:
    if token:
        with pytest.raises(ApiProblem):
            page([run("x")], limit=1, after=token, phases=set(), pipeline=None)
