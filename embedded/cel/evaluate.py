"""Evaluates CEL expressions, with a limit on the cost of one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from embedded.cel.functions import COST_EXCEEDED, FUNCTIONS, METHODS, require_int64, require_length
from embedded.cel.parser import Call, Index, ListLiteral, Literal, Macro, MapLiteral, Name, Node, Select, parse
from embedded.cel.values import TYPE_NAMES, CelError, CelType, OptionalValue, compare, equal, overload_error

MAX_STEPS = 200_000
"""The maximum number of steps of one evaluation, in place of a real server's cost limit."""
MAX_OBJECT_STEPS = 1_000_000
"""The same of all rules that are evaluated for one object."""
_STEP_CHARACTERS = 100
"""Functions go through so many characters of a text in the time of a step."""
_OPERATORS = ("&&", "||", "?:", "!_", "-_", "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%")
# Escape sequences for field names that are not CEL identifiers.
_ESCAPES = (("__underscores__", "__"), ("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"))


class CostBudget:
    """The steps that are left for several evaluations together."""

    def __init__(self, steps: int = MAX_OBJECT_STEPS) -> None:
        self.left = steps

    def charge(self, steps: int) -> None:
        """Raises CelError when nothing is left."""
        self.left -= steps
        if self.left < 0:
            raise CelError(COST_EXCEEDED)


class Program:
    """A compiled expression: its names and functions exist."""

    def __init__(self, tree: Node) -> None:
        self.tree = tree

    def evaluate(self, variables: Mapping[str, Any], budget: CostBudget | None = None) -> Any:
        """Evaluate the expression.

        Raises:
            CelError: it fails on these values, or exceeds the cost limit or the budget.
        """
        limit = MAX_STEPS if budget is None else max(min(MAX_STEPS, budget.left), 0)
        evaluation = _Evaluation(dict(variables), limit)
        try:
            return evaluation.evaluate(self.tree)
        except RecursionError:
            raise CelError("nested too deeply") from None
        except (TypeError, AttributeError, ValueError, OverflowError, KeyError) as error:
            # A function was called with values of types that it does not support.
            raise CelError(f"found no matching overload: {error}") from None
        finally:
            if budget is not None:
                budget.left -= limit - max(evaluation.steps_left, 0)


@lru_cache(maxsize=1024)
def compile_expression(text: str, variables: Collection[str]) -> Program:
    """Compile an expression that may use `variables`, a hashable collection. Results are cached.

    Raises:
        CelError: the syntax is wrong, or a name or function does not exist.
    """
    try:
        tree = parse(text)
        undeclared = next(_undeclared_names(tree, frozenset(variables)), None)
    except RecursionError:
        raise CelError("Syntax error: nested too deeply") from None
    if undeclared is not None:
        raise CelError(f"undeclared reference to '{undeclared}' (in container '')")
    return Program(tree)


def _undeclared_names(node: Node, known: frozenset[str]) -> Iterator[str]:
    match node:
        case Name(name):
            if name not in known and name not in TYPE_NAMES:
                yield name
        case Select(of):
            yield from _undeclared_names(of, known)
        case Index(of, key):
            yield from _undeclared_names(of, known)
            yield from _undeclared_names(key, known)
        case Call(function, arguments, of):
            if function not in (METHODS if of is not None else FUNCTIONS) and (
                of is not None or function not in _OPERATORS
            ):
                yield function
            for part in (*arguments, *((of,) if of is not None else ())):
                yield from _undeclared_names(part, known)
        case Macro(_, of, variable, body):
            yield from _undeclared_names(of, known)
            for part in body:
                yield from _undeclared_names(part, known | {variable})
        case ListLiteral(items):
            for part in items:
                yield from _undeclared_names(part, known)
        case MapLiteral(entries):
            for pair in entries:
                for part in pair:
                    yield from _undeclared_names(part, known)


def unescape_field_name(escaped: str) -> str:
    """Decode an escaped field name."""
    name = escaped
    for escape, text in _ESCAPES:
        name = name.replace(escape, text)
    if name.startswith("__") and name.endswith("__") and len(name) > 4:
        name = name[2:-2]
    return name


def _arithmetic(operator: str, one: Any, other: Any) -> Any:
    times = (datetime, timedelta)
    if isinstance(one, times) and isinstance(other, times) and operator in "+-":
        return one + other if operator == "+" else one - other  # type: ignore[operator]
    if operator == "+" and type(one) is type(other) and isinstance(one, str | bytes | list):
        return require_length(one + other)
    if isinstance(one, bool) or isinstance(other, bool) or type(one) is not type(other):
        raise overload_error(f"_{operator}_", one, other)
    if isinstance(one, float):
        if operator == "/" and not other:
            return float("nan") if not one else float("inf") if one > 0 else float("-inf")
        return {"+": lambda: one + other, "-": lambda: one - other, "*": lambda: one * other, "/": lambda: one / other}[
            operator
        ]()
    if not isinstance(one, int):
        raise overload_error(f"_{operator}_", one, other)
    if operator in "/%":
        if not other:
            raise CelError("division by zero" if operator == "/" else "modulus by zero")
        quotient = abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)
        return require_int64(quotient) if operator == "/" else one - other * quotient
    return require_int64({"+": one + other, "-": one - other, "*": one * other}[operator])


def extent(value: Any, limit: int) -> int:
    """How many values there are in a value, long texts counting for several; it counts little further than `limit`."""
    count = 0
    left: list[Collection[Any]] = [[value]]
    while left and count <= limit:
        values = left.pop()
        count += len(values)
        for each in values:
            if isinstance(each, str | bytes):
                count += len(each) // _STEP_CHARACTERS
            elif isinstance(each, dict):
                left.append(each.values())
            elif isinstance(each, list):
                left.append(each)
    return count


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | dict) else 0


class _Evaluation:
    def __init__(self, variables: dict[str, Any], steps: int) -> None:
        self._variables = variables
        self.steps_left = steps

    def evaluate(self, node: Node) -> Any:
        self._charge(1)
        match node:
            case Literal(value):
                return value
            case Name(name):
                return self._variables[name] if name in self._variables else CelType(name)
            case Select():
                return self._select(node)
            case Index(of, key, optional):
                return self._index(self.evaluate(of), self.evaluate(key), optional)
            case Call(function, arguments, None):
                return self._call(function, arguments)
            case Call(function, arguments, of):
                assert of is not None
                values = [self.evaluate(of), *map(self.evaluate, arguments)]
                self._charge_values(*values)
                return METHODS[function](*values)
            case Macro():
                return self._macro(node)
            case ListLiteral(items):
                return [self.evaluate(item) for item in items]
            case MapLiteral(entries):
                return {self.evaluate(key): self.evaluate(value) for key, value in entries}

    def _charge(self, steps: int) -> None:
        self.steps_left -= steps
        if self.steps_left < 0:
            raise CelError(COST_EXCEEDED)

    def _charge_values(self, *values: Any) -> None:
        """Count what a function that goes through all of its arguments costs."""
        for value in values:
            if isinstance(value, str | bytes | list | dict):
                self._charge(extent(value, self.steps_left))

    def _select(self, node: Select) -> Any:
        of = self.evaluate(node.operand)
        unwrap = isinstance(of, OptionalValue)
        if unwrap:
            if not of.present:
                return False if node.test else of
            of = of.value
        if not isinstance(of, dict):
            raise CelError(f"type '{type(of).__name__}' does not support field selection")
        name = node.field if node.field in of else unescape_field_name(node.field)
        present = name in of and of[name] is not None
        if node.test:
            return present
        if node.optional or unwrap:
            return OptionalValue(of[name], True) if present else OptionalValue()
        if name not in of:
            raise CelError(f"no such key: {node.field}")
        return of[name]

    def _index(self, of: Any, key: Any, optional: bool) -> Any:
        unwrap = isinstance(of, OptionalValue)
        if unwrap:
            if not of.present:
                return of
            of = of.value
        if isinstance(of, list):
            present = isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(of)
            why = f"index out of bounds: {key}"
        elif isinstance(of, dict):
            present, why = key in of, f"no such key: {key}"
        else:
            raise overload_error("_[_]", of, key)
        if optional or unwrap:
            return OptionalValue(of[key], True) if present else OptionalValue()
        if not present:
            raise CelError(why)
        return of[key]

    def _call(self, function: str, arguments: tuple[Node, ...]) -> Any:
        if function in ("&&", "||"):
            return self._short_circuit(function == "||", [partial(self.evaluate, part) for part in arguments])
        if function == "?:":
            return self.evaluate(arguments[1] if self._require_bool(self.evaluate(arguments[0])) else arguments[2])
        values = [self.evaluate(argument) for argument in arguments]
        if function.startswith("sets.") and all(isinstance(value, list) for value in values):
            # Each item of one is compared with each of the other.
            self._charge(len(values[0]) * len(values[-1]))
        if function in FUNCTIONS:
            self._charge_values(*values)
            return FUNCTIONS[function](*values)
        if function == "!_":
            return not self._require_bool(values[0])
        if function == "-_":
            if isinstance(values[0], bool):
                raise overload_error("-_", values[0])
            return -values[0]
        one, other = values
        if function == "+":
            self._charge_values(one, other)
        else:
            # A comparison ends with the shorter one; a list is searched to its end.
            self._charge_values(other if function == "in" else min(one, other, key=_length))
        if function == "in":
            found = (key for key in other) if isinstance(other, dict | list) else None
            if found is None:
                raise overload_error("in", one, other)
            return any(equal(one, item) for item in found)
        if function in ("==", "!="):
            return equal(one, other) is (function == "==")
        if function in ("<", "<=", ">", ">="):
            order = compare(one, other)
            return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[function]
        return _arithmetic(function, one, other)

    def _require_bool(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise CelError("no such overload: a bool is needed")
        return value

    def _short_circuit(self, decisive: bool, parts: Iterable[Callable[[], Any]]) -> bool:
        """Evaluate || (`decisive` is true) or &&: one decisive operand outweighs the error of another."""
        failure: CelError | None = None
        for part in parts:
            try:
                if self._require_bool(part()) is decisive:
                    return decisive
            except CelError as error:
                if self.steps_left < 0:
                    raise
                failure = failure or error
        if failure is not None:
            raise failure
        return not decisive

    def _macro(self, node: Macro) -> Any:
        of = self.evaluate(node.target)
        if node.function in ("optMap", "optFlatMap"):
            if not of.present:
                return of
            value = self._evaluate_with(node, of.value, node.body[0])
            return value if node.function == "optFlatMap" else OptionalValue(value, True)
        if not isinstance(of, list | dict):
            raise overload_error(node.function, of)
        items = list(of)
        if node.function in ("all", "exists"):
            checks = [partial(self._evaluate_with, node, item, node.body[0]) for item in items]
            return self._short_circuit(node.function == "exists", checks)
        if node.function in ("exists_one", "existsOne"):
            return sum(self._require_bool(self._evaluate_with(node, item, node.body[0])) for item in items) == 1
        if node.function == "filter":
            return [item for item in items if self._require_bool(self._evaluate_with(node, item, node.body[0]))]
        if len(node.body) == 2:
            items = [item for item in items if self._require_bool(self._evaluate_with(node, item, node.body[0]))]
        return [self._evaluate_with(node, item, node.body[-1]) for item in items]

    def _evaluate_with(self, node: Macro, item: Any, body: Node) -> Any:
        outer = self._variables
        self._variables = {**outer, node.variable: item}
        try:
            return self.evaluate(body)
        finally:
            self._variables = outer
