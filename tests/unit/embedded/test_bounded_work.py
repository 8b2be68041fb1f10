"""What clients send costs a bounded amount of work: each of these small inputs took seconds, minutes or gigabytes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from embedded.api.quantity import canonical_quantity, format_quantity, parse_quantity
from embedded.api.status_errors import ApiError
from embedded.apiserver.codec.decode import _media_type, read_object
from embedded.cel import CelError, CostBudget, compile_expression
from embedded.cel.parser import MAX_EXPRESSION_LENGTH, parse
from embedded.crd.schema_validation import validate_value
from embedded.kubelet.config.environment import MAX_EXPANDED_CHARACTERS, ConfigError, container_environment
from embedded.patch.json_patch import MAX_OPERATIONS, json_patch
from embedded.patch.merge_patch import strategic_merge_patch
from tests.support.processor_time import takes_at_most

SECONDS = 2.0
NUMBERS = list(range(2_000))


def costs_little(call: Callable[[], Any]) -> Any:
    """The result of a call that takes little processor time; the unbounded ones take 5 s to for ever."""
    with takes_at_most(SECONDS):
        return call()


@pytest.mark.parametrize(
    "text",
    [
        "//" * 20 + "\n@",
        "1 //" + " " * 20_000 + "\n@",
        "//\n" * 9_000 + "@",
        " " * 30_000 + "@",
        "9" * 30_000,
        "1" * 101,
    ],
)
def test_a_wrong_expression_is_refused_in_linear_time(text: str) -> None:
    with pytest.raises(CelError):
        costs_little(lambda: parse(text))


def test_comments_are_skipped_wherever_space_is() -> None:
    expression = compile_expression("// one // two\n  self //three\n + 1 // four", ("self",))
    assert expression.evaluate({"self": 1}) == 2


def test_a_long_expression_is_refused() -> None:
    with pytest.raises(CelError, match=f"longer than {MAX_EXPRESSION_LENGTH}"):
        compile_expression("1" + "+1" * MAX_EXPRESSION_LENGTH, ("self",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("self.all(x, self == self)", NUMBERS),
        ("self.all(x, !(-1 in self))", NUMBERS),
        ("self.all(x, self.isSorted())", NUMBERS),
        ("sets.contains(self, self)", NUMBERS),
        ("self.all(x, self[0].lowerAscii() != '')", ["A" * 100_000] * 2_000),
        ("self.all(x, self[0].matches('(a|b)*c') || true)", ["a" * 100_000] * 2_000),
        ("self.all(x, self[0] + 'a' != '')", ["a" * 1_000_000] * 2_000),
    ],
)
def test_functions_count_what_they_go_through(text: str, value: Any) -> None:
    with pytest.raises(CelError, match="cost limit"):
        costs_little(lambda: compile_expression(text, ("self",)).evaluate({"self": value}))


def test_evaluations_share_a_budget() -> None:
    program, budget = compile_expression("self.all(x, x >= 0)", ("self",)), CostBudget(20_000)
    assert program.evaluate({"self": NUMBERS}, budget) is True
    assert budget.left < 20_000 - len(NUMBERS)
    budget.left = len(NUMBERS)
    with pytest.raises(CelError, match="cost limit"):
        program.evaluate({"self": NUMBERS}, budget)


def test_rules_of_many_items_cost_no_more_than_those_of_one_object() -> None:
    rule = {"rule": "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, a + b + c > 0)))"}
    schema = {"type": "array", "items": {"type": "integer", "x-kubernetes-validations": [rule]}}
    with takes_at_most(4 * SECONDS):
        errors = list(validate_value(NUMBERS, schema))
    assert "cost limit" in errors[-1].message


def test_nested_combinations_are_evaluated_once() -> None:
    schema: dict[str, Any] = {"maximum": 1}
    for _ in range(40):
        schema = {"allOf": [schema]}
    assert costs_little(lambda: list(validate_value(2, schema)))
    assert not costs_little(lambda: list(validate_value(1, schema)))


@pytest.mark.parametrize("text", ["1e999999", "1E99999999", "1e-99999999", "9" * 999])
def test_huge_quantities_are_the_largest_one(text: str) -> None:
    amount = costs_little(lambda: parse_quantity(text))
    assert abs(amount) <= 2**63 - 1
    costs_little(lambda: (format_quantity(amount, "memory"), canonical_quantity(text)))
    assert parse_quantity("1e3") == Decimal(1000)


def test_a_quantity_of_any_length_is_none() -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        costs_little(lambda: parse_quantity("9" * 1_000_000))


def test_variables_that_double_are_refused() -> None:
    env = [{"name": "A0", "value": "x" * 100}]
    env += [{"name": f"A{n}", "value": f"$(A{n - 1})$(A{n - 1})"} for n in range(1, 40)]
    pod = {"metadata": {"name": "p"}, "spec": {}}
    with pytest.raises(ConfigError, match=str(MAX_EXPANDED_CHARACTERS)):
        costs_little(lambda: container_environment({"env": env}, pod, lambda _: None, lambda _: None))


def test_copies_in_a_json_patch_are_bounded_together() -> None:
    operations = [{"op": "copy", "from": "/a", "path": f"/a/b{n}"} for n in range(60)]
    with pytest.raises(ApiError, match="rejected our request"):
        costs_little(lambda: json_patch({"a": {"x": "y" * 1000}}, operations))
    assert json_patch({"a": {"x": 1}}, operations[:1]) == {"a": {"x": 1, "b0": {"x": 1}}}


def test_a_json_patch_has_a_maximum_of_operations() -> None:
    with pytest.raises(ApiError, match="maximum operations in a JSON patch is 10000") as caught:
        json_patch({}, [{"op": "test", "path": "", "value": {}}] * (MAX_OPERATIONS + 1))
    assert caught.value.code == 413


def test_a_long_list_is_merged_in_linear_time() -> None:
    containers = [{"name": f"c{n}", "image": "x"} for n in range(8_000)]
    patch = {"containers": [*containers[::-1], {"name": "c5", "$patch": "delete"}, {"name": "new"}]}
    found = costs_little(lambda: strategic_merge_patch({"containers": containers}, patch))
    assert [each["name"] for each in found["containers"]] == [f"c{n}" for n in range(8_000) if n != 5] + ["new"]


@pytest.mark.parametrize(
    "header", ["a/b" + " " * 60_000 + "x", "a/b" + "; " * 30_000 + "x", "a/b;a=b" + " " * 60_000 + "x"]
)
def test_a_malformed_media_type_is_refused_in_linear_time(header: str) -> None:
    assert costs_little(lambda: _media_type(header)) == ""


@pytest.mark.parametrize(("header", "media"), [("a/b ; c=d ;", "a/b"), (' A/B; c="d;e" ; f=g', "a/b"), ("a/b;", "a/b")])
def test_media_types_are_read_with_parameters(header: str, media: str) -> None:
    assert _media_type(header) == media


MERGED = b"a: &a {" + b",".join(b"k%d: 1" % n for n in range(2_000)) + b"}\nb:\n" + b"  - <<: *a\n" * 5_000


@pytest.mark.parametrize(
    "document",
    [MERGED, b"a: [" + b"x," * 1_000_000 + b"x]\n", b"\n".join([b"a: 1"] * 400_000), b"a: " + b"1" * 100_000 + b"\n"],
)
def test_yaml_with_too_much_in_it_is_a_bad_request(document: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        costs_little(lambda: read_object(document, "application/yaml", "Pod", []))
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:20:30", "1:20:30"),
        ("1:" * 50_000 + "1.5", "1:" * 50_000 + "1.5"),
        ("12", 12),
        ("0x1f", 31),
        ("-1_000", -1000),
        ("1.5", 1.5),
        ("1.0e+3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("2026-01-02", "2026-01-02"),
    ],
)
def test_numbers_in_yaml_are_those_of_go(text: str, value: object) -> None:
    assert costs_little(lambda: read_object(f"a: {text}\n".encode(), "application/yaml", "Pod")) == {"a": value}
