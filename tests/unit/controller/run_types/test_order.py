"""The order in which runs were created: total, the same however it is asked for, and the same in all lists."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller import labels
from controller.api.runs.pagination import RunFilter, paginate
from controller.api.runs.why import earlier_run
from controller.api.serializers import serialize_run
from controller.dashboard.views.run_rows import PAGE_SIZE, RunRow, previous_run, select_runs
from controller.operator.effects.retention import runs_over_limit
from controller.run_types.order import creation_key, creation_order, number_of
from controller.run_types.summary import summarize_run
from controller.statistics.records import merge
from workbench.client.decode import decode_run
from workbench.runs.run_filter import RunFilter as ClientFilter

NOW = datetime.fromisoformat("2026-01-02T00:00:00Z")


def run(name: str, second: int = 0, number: str | None = None, uid: str = "", namespace: str = "team") -> Any:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{hash((name, namespace)) % 1000}-{name}",
            "creationTimestamp": f"2026-01-01T00:00:{second:02}Z",
            "labels": {} if number is None else {labels.RUN_NUMBER: number},
        },
        "spec": {"pipeline": {"name": "ci"}},
        "status": {"phase": "Succeeded", "steps": []},
    }


def names(runs: Any) -> list[str]:
    return [each["metadata"]["name"] for each in sorted(runs, key=creation_order)]


def test_runs_of_one_second_are_in_the_order_of_their_numbers() -> None:
    assert names([run("ci-10", 1, "10"), run("ci-9", 1, "9"), run("ci-11", 0, "11")]) == ["ci-11", "ci-9", "ci-10"]


def test_a_run_that_has_no_number_yet_comes_after_those_of_its_second_that_have_one() -> None:
    waiting = run("ci-00ff12ab34cd56ef", 1)
    others = [run("ci-7", 1, "7"), run("ci-8", 1, "8"), run("ci-9", 2, "9")]
    before = names([waiting, *others])
    waiting["metadata"]["labels"][labels.RUN_NUMBER] = "10"
    assert names([waiting, *others]) == before == ["ci-7", "ci-8", waiting["metadata"]["name"], "ci-9"]


def test_without_numbers_the_digits_of_the_names_count() -> None:
    assert names([run("ci-10"), run("ci-9"), run("other")]) == ["other", "ci-9", "ci-10"]
    assert names([run("ci-9", number="x"), run("ci-10", number="")]) == ["ci-9", "ci-10"]


def test_damaged_numbers_are_none() -> None:
    for text in ("-1", "1e3", "1" * 10, "²", " 1", ""):
        assert number_of(run("ci-1", number=text)) is None, text
    assert number_of(run("ci-1", number="7")) == 7
    assert creation_key("t", None, "ci-" + "9" * 5000)[2] == 0, "no number is made of endless digits"


def test_the_run_to_compare_with_is_the_newest_of_its_second_that_came_before() -> None:
    runs = [run(f"ci-{number}", 1, str(number)) for number in (8, 9, 10, 11)]
    for each in runs:
        each["status"]["steps"] = [{"name": "test", "phase": "Succeeded"}]
    assert earlier_run(runs, runs[2], "test") == "ci-9"
    assert earlier_run(runs, runs[0], "test") is None


def test_records_of_runs_that_ended_together_are_in_the_order_of_creation() -> None:
    records = [
        {"uid": f"u{99 - number}", "run": f"ci-{number}", "number": number, "created": "c", "ended": "e", "steps": []}
        for number in (9, 10, 11)
    ]
    assert merge(records[:1], records[:0:-1]) == records


NAMES = st.from_regex(r"[a-c]{1,2}(-[0-9]{1,3}|-[0-9a-f]{4})?", fullmatch=True)
RUNS = st.lists(
    st.builds(
        run,
        NAMES,
        st.integers(0, 2),
        st.one_of(st.none(), st.integers(0, 12).map(str), st.just("hostile")),
        namespace=st.just("team"),
    ),
    unique_by=lambda each: each["metadata"]["name"],
    max_size=12,
)


@given(RUNS, st.randoms())
def test_the_order_is_total_and_the_same_however_the_runs_are_listed(runs: list[Any], random: Any) -> None:
    expected = names(runs)
    assert len({creation_order(each) for each in runs}) == len(runs)
    shuffled = list(runs)
    random.shuffle(shuffled)
    assert names(shuffled) == expected
    assert names(map(summarize_run, shuffled)) == expected, "a summary is where its run is"
    times = [each["metadata"]["creationTimestamp"] for each in sorted(runs, key=creation_order)]
    assert times == sorted(times)


@given(RUNS, st.randoms(), st.integers(1, 5))
def test_all_lists_have_this_order(runs: list[Any], random: Any, limit: int) -> None:
    expected = names(runs)[::-1]
    shuffled = list(runs)
    random.shuffle(shuffled)
    paged: list[str] = []
    token: str | None = None
    while True:
        # Each page is made of what the cache returns then, in no particular order.
        random.shuffle(shuffled)
        page = paginate(shuffled, RunFilter(), limit=limit, after=token, now=NOW.timestamp())
        paged += [each["metadata"]["name"] for each in page.items]
        if (token := page.next) is None:
            break
    assert paged == expected
    assert [row.name for row in select_runs(shuffled, "", None, 1, NOW).rows] == expected[:PAGE_SIZE]
    shown = [decode_run(serialize_run(each, definition=False)) for each in shuffled]
    assert [each.name for each in ClientFilter().apply(shown, NOW)] == expected
    assert [each.name for each in ClientFilter(order="oldest").apply(shown, NOW)] == expected[::-1]
    assert [previous_run(shuffled, RunRow(each)) for each in sorted(runs, key=creation_order)] == [
        None,
        *expected[:0:-1],
    ][: len(runs)]
    kept = {each["metadata"]["name"] for each in runs} - {
        each["metadata"]["name"] for each in runs_over_limit(shuffled, limit)
    }
    assert kept == set(expected[:limit]), "retention keeps the newest"
