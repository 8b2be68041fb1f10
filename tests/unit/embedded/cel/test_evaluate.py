"""CEL expressions follow the language definition and stay within the cost limit."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.cel import CelError, compile_expression
from embedded.cel.parser import parse

SELF: dict[str, Any] = {
    "n": 3,
    "f": 1.5,
    "s": "héllo",
    "list": [1, 2, 3],
    "names": [{"name": "a", "v": 1}, {"name": "b", "v": 2}],
    "map": {"k": "v"},
    "namespace": "ns",
    "a-b": 7,
    "when": "2026-01-02T03:04:05Z",
}


def _evaluate(text: str) -> Any:
    return compile_expression(text, ("self",)).evaluate({"self": SELF})


@pytest.mark.parametrize(
    "text",
    [
        "1 + 2 * 3 == 7 && -7 / 2 == -3 && -7 % 2 == -1 && 0x10 == 16 && 3u == 3",
        "'a' + \"b\" == 'ab' && r'\\d' == '\\\\d' && '''x''' == 'x' && b'a' == bytes('a')",
        "true ? true : 1 / 0 == 1",
        "'http://x'.matches('^https?://[a-z]*$') && 'a//b' != '' // a comment",
        "self.n == 3 && self.n != 4 && self.n < 4 && self.n >= 3 && self.f > 1.0 && 1 == 1.0 && true != 1",
        "self.list.all(x, x > 0) && self.list.exists(x, x == 2) && self.list.exists_one(x, x == 3)",
        "self.list.map(x, x * 2) == [2, 4, 6] && self.list.map(x, x > 1, x + 1) == [3, 4]",
        "self.list.filter(x, x > 1).size() == 2 && size(self.s) == 5 && self.list.sum() == 6 && self.list.max() == 3",
        "has(self.n) && !has(self.gone) && has(self.map.k) && 'k' in self.map && 2 in self.list",
        "self.map.all(key, self.map[key] == 'v') && {'a': 1}.a == 1 && self.names[1].name == 'b'",
        "self.?gone.orValue(5) == 5 && self.?n.orValue(5) == 3 && self[?'gone'].hasValue() == false",
        "self.?map.?k.optMap(v, v + '!').orValue('') == 'v!'",
        "self.__namespace__ == 'ns' && self.a__dash__b == 7",
        "self.s.startsWith('h') && self.s.endsWith('lo') && self.s.contains('ll') && self.s.matches('^h.l+o$')",
        "'A,b'.lowerAscii().split(',') == ['a', 'b'] && ['x', 'y'].join('-') == 'x-y' && 'abc'.substring(1, 2) == 'b'",
        "'a b'.replace(' ', '') == 'ab' && ' x '.trim() == 'x' && 'abc'.indexOf('c') == 2 && 'abc'.charAt(0) == 'a'",
        "[1, 2, 2].isSorted() && !['b', 'a'].isSorted() && sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1])",
        "duration('1h30m') > duration('89m') && timestamp(self.when).getFullYear() == 2026",
        "timestamp(self.when) + duration('1s') == timestamp('2026-01-02T03:04:06Z')",
        "quantity('1Gi').isGreaterThan(quantity('1G')) && isQuantity('5m') && !isQuantity('x')",
        "type(1) == int && type('') == string && string(1) == '1' && int('7') == 7 && double(1) == 1.0",
        "'%s is %d, %.2f'.format(['x', 3, 1.5]) == 'x is 3, 1.50'",
        "(1 / 0 == 1 || true) && !(1 / 0 == 1 && false) // a decisive side counts",
        "'x'.find('[0-9]') == '' && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
    ],
)
def test_expressions_evaluate_to_true(text: str) -> None:
    assert _evaluate(text) is True


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 / 0", "division by zero"),
        ("self.gone", "no such key: gone"),
        ("self.list[9]", "index out of bounds: 9"),
        ("1 + 'a'", "no matching overload"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("self.n.startsWith('a')", "no matching overload"),
        ("'x'.matches('(')", "invalid regular expression"),
        ("int('x')", "type conversion error"),
        ("self.list && true", "a bool is needed"),
    ],
)
def test_evaluation_error_states_the_cause(text: str, why: str) -> None:
    with pytest.raises(CelError, match=why):
        _evaluate(text)


@pytest.mark.parametrize("text", ["", "1 +", "self.", "(1", "self.all(1, true)", "a b", "'x", "x.y(", "[1", "{1}", "§"])
def test_invalid_syntax_is_refused(text: str) -> None:
    with pytest.raises(CelError):
        compile_expression(text, ("self",))


@pytest.mark.parametrize(("text", "name"), [("slef.n", "slef"), ("self.n.frob()", "frob"), ("frob(1)", "frob")])
def test_undeclared_name_is_a_compile_error(text: str, name: str) -> None:
    with pytest.raises(CelError, match=f"undeclared reference to '{name}'"):
        compile_expression(text, ("self",))


def test_evaluation_beyond_the_cost_limit_is_cancelled() -> None:
    many = compile_expression("self.all(a, self.all(b, self.all(c, a + b + c >= 0)))", ("self",))
    with pytest.raises(CelError, match="cost limit exceeded"):
        many.evaluate({"self": list(range(1000))})


@pytest.mark.parametrize(
    "text",
    [
        "optional.of(self)" + ".optMap(x, x + x)" * 40,
        "optional.of([self])" + ".optMap(x, x + x)" * 40,
        "optional.of(self)" + ".optMap(x, [x, x].join(x))" * 20,
        "optional.of(self)" + ".optMap(x, '%s%s'.format([x, x]))" * 40,
        "optional.of(self)" + ".optMap(x, x.replace('a', x))" * 20,
    ],
)
def test_values_that_an_expression_builds_are_bounded(text: str) -> None:
    with pytest.raises(CelError, match="cost limit exceeded"):
        compile_expression(text, ("self",)).evaluate({"self": "a" * 100})


def test_deep_nesting_is_refused() -> None:
    for deep in ("(" * 5000 + "1" + ")" * 5000, "!" * 5000 + "true", "1" + "+1" * 5000):
        with pytest.raises(CelError):
            compile_expression(deep, ("self",)).evaluate({"self": 1})


@given(st.text(alphabet="self.n0'\"[](){}+-*/%!<>=&|?:, \\ax", max_size=30))
def test_any_text_evaluates_or_raises_cel_error(text: str) -> None:
    with suppress(CelError):
        compile_expression(text, ("self",)).evaluate({"self": SELF})


@given(st.integers(-100, 100), st.integers(-100, 100).filter(bool))
def test_division_truncates_toward_zero(one: int, other: int) -> None:
    program = compile_expression("(a / b) * b + a % b == a && (a % b == 0 || (a % b > 0) == (a > 0))", ("a", "b"))
    assert program.evaluate({"a": one, "b": other}) is True


def test_whitespace_and_comments_do_not_change_the_tree() -> None:
    assert parse("a.b[1] + 2") == parse(" a . b [ 1 ]+2 // sum")
