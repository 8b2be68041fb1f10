"""Histories of tests, and which tests are flaky."""

from typing import Any

import pytest

from controller import labels
from controller.test_results.history import (
    Header,
    Outcomes,
    build_history,
    decode_outcomes,
    encode_outcomes,
    history_key,
    outcomes_key,
    outcomes_prefix,
    pack_outcomes,
    parse_outcomes_key,
    surplus_keys,
)

A, B = history_key("s", "a"), history_key("s", "b")


def attempt(run: int, letters: dict[str, str], *, inputs: str = "", number: int = 1, **more: object) -> Outcomes:
    header = Header(f"shop-{run}", run, f"uid-{run}", "test", "test", number, inputs=inputs, **more)  # type: ignore[arg-type]
    return Outcomes(header, letters)


def test_a_history_has_a_letter_for_each_attempt() -> None:
    history = build_history([attempt(1, {A: "P"}), attempt(2, {A: "F", B: "S"})], [A, B])
    assert history.tests == {A: "PF", B: "-S"}
    assert [each.run for each in history.attempts] == ["shop-1", "shop-2"]


def test_a_test_that_failed_and_passed_on_the_same_inputs_is_flaky() -> None:
    same = [attempt(1, {A: "F", B: "F"}, inputs="k"), attempt(1, {A: "P", B: "F"}, inputs="k", number=2)]
    assert build_history(same, [A, B]).flaky == {A}


@pytest.mark.parametrize("inputs", [("k", "l"), ("", "")])
def test_other_or_unknown_inputs_make_no_test_flaky(inputs: tuple[str, str]) -> None:
    found = [attempt(1, {A: "F"}, inputs=inputs[0]), attempt(2, {A: "P"}, inputs=inputs[1])]
    assert not build_history(found, [A]).flaky


@pytest.mark.parametrize(("source", "flaky"), [("s1", {A}), ("s2", set())])
def test_failed_tests_that_ran_alone_count_as_the_same_inputs_on_the_same_source(source: str, flaky: set[str]) -> None:
    whole = attempt(1, {A: "F", B: "P"}, inputs="k", source="s1")
    part = attempt(2, {A: "P"}, inputs="other", source=source, partial_of=("uid-1", "test", 1))
    assert build_history([whole, part], [A, B]).flaky == flaky


def test_outcomes_are_read_as_they_were_stored() -> None:
    header = Header("shop-1", None, "u", "test", "test (a=1)", 3, "c0ffee", "k", "s", ("v", "test", 2))
    data = encode_outcomes(header, pack_outcomes([A, B, A], ["passed", "skipped", "error"]))
    assert decode_outcomes(data) == Outcomes(header, {A: "F", B: "S"})


@pytest.mark.parametrize(
    "data",
    [b"", b"x", encode_outcomes(Header("r", 1, "u", "s", "s", 1), pack_outcomes([A], ["passed"]))[:-5]],
    ids=["empty", "other", "cut"],
)
def test_damaged_outcomes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode_outcomes(data)


def test_the_runs_before_the_last_fifty_are_surplus() -> None:
    prefix = outcomes_prefix("default", "ns-uid", "shop")
    keys = [
        outcomes_key(prefix, run_object(number), Header("r", number, uid(number), slug, slug, 1))
        for number in range(1, 54)
        for slug in ("a", "b")
    ]
    assert surplus_keys(keys[::-1]) == keys[5::-1]
    assert parse_outcomes_key(keys[1]) == (f"1000000000-0{1:018d}.{uid(1)}", uid(1), "b", 1)


def test_keys_without_a_number_come_in_the_order_of_their_second() -> None:
    prefix = outcomes_prefix("default", "ns-uid", "shop")
    new = outcomes_key(prefix, run_object(7), Header("r", 7, "u7", "a", "a", 1))
    before, after = f"{prefix}0999999999.u9.a.1", f"{prefix}1000000001.u1.a.1"
    parsed = [parse_outcomes_key(key) for key in (after, new, before)]
    assert None not in parsed
    assert [each[1] for each in sorted(filter(None, parsed))] == ["u9", "u7", "u1"]


def run_object(number: int) -> dict[str, Any]:
    """One of the runs of one second, whose uids are not in the order of their numbers."""
    return {
        "metadata": {
            "name": f"shop-{number}",
            "uid": uid(number),
            "creationTimestamp": "2001-09-09T01:46:40Z",
            "labels": {labels.RUN_NUMBER: str(number)},
        }
    }


def uid(number: int) -> str:
    return f"u{99 - number}"
