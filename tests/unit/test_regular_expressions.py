"""Regular expressions take linear time: each is tried on texts that repeat what it consists of and do not match.

An expression in which two repetitions can take the same characters takes quadratic or exponential time on such a text.
What it is applied to comes from users nearly everywhere, so that all are held to it.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from re import _parser as sre_parse  # type: ignore[attr-defined]  # the syntax tree of an expression
from types import ModuleType
from typing import Any

import pytest

import controller
import embedded
import kind
import workbench
from tests.support.processor_time import processor_seconds

LENGTH = 4_000
SECONDS = 0.02
"""Linear expressions take some 0.2 ms for such a text, quadratic ones 100 times as long and more."""
SEARCHES = {"search", "sub", "subn", "finditer", "findall", "split"}
CALLS = {*SEARCHES, "match", "fullmatch", "compile"}
SHORT_TEXTS = {
    "controller.operator.decision.pods.capacity._EXCEEDED": "a message of 1,000 characters",
    "controller.agent.git.clone._PASSWORD": "a URL of 2,048 characters",
}
"""Expressions that are quadratic, with the bound of what they are applied to."""


PACKAGES = (controller, embedded, kind, workbench)
Expressions = Mapping[str, tuple[re.Pattern[Any], bool]]


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


@functools.cache
def expressions(package: ModuleType) -> Expressions:
    """Each expression by its name or, within a call, its text; and whether its module searches with it."""
    found: dict[str, tuple[re.Pattern[Any], bool]] = {}
    for module in modules(package):
        own = {name: value for name, value in vars(module).items() if isinstance(value, re.Pattern)}
        source = inspect.getsource(module)
        if not own and "re." not in source:
            continue
        calls = [
            (node, node.func.value.id, node.func.attr)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ]
        searched = {name for _, name, function in calls if function in SEARCHES}
        found |= {f"{module.__name__}.{name}": (value, name in searched) for name, value in own.items()}
        named = {value.pattern for value in own.values()}
        for node, name, function in calls:
            first = node.args[0] if node.args else None
            if name != "re" or function not in CALLS or not isinstance(first, ast.Constant):
                continue
            text: Any = first.value
            if text not in named:
                found[f"{module.__name__} {text!r}"] = (
                    re.compile(text, flags(node)),
                    function in {*SEARCHES, "compile"},
                )
    return found


def flags(call: ast.Call) -> int:
    """The flags that are given to a function of `re`, by their names."""
    names = {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute) and node.attr.isupper()}
    return int(sum(getattr(re, name) for name in names & set(re.RegexFlag.__members__)))


def characters(tree: Any, found: set[str]) -> None:
    """Characters that an expression can match, a few for each part of it."""
    for operation, argument in tree:
        match str(operation):
            case "LITERAL":
                found.add(chr(argument))
            case "ANY" | "NOT_LITERAL":
                found |= set("a1 /")
            case "IN":
                for kind, value in argument:
                    match str(kind):
                        case "LITERAL":
                            found.add(chr(value))
                        case "RANGE":
                            found.add(chr(value[0]))
                        case _:
                            found |= set("a1 /")
            case "SUBPATTERN":
                characters(argument[-1], found)
            case "BRANCH":
                for branch in argument[1]:
                    characters(branch, found)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                characters(argument[2], found)
            case "ATOMIC_GROUP":
                characters(argument, found)
            case "ASSERT" | "ASSERT_NOT":
                characters(argument[1], found)


def texts(expression: re.Pattern[Any], length: int) -> Iterator[str | bytes]:
    found: set[str] = set()
    characters(sre_parse.parse(expression.pattern, expression.flags & ~re.DEBUG), found)
    alphabet = sorted(found)[:12]
    pumps = alphabet + [one + other for one in alphabet[:6] for other in alphabet[:6] if one != other]
    for pump in pumps:
        for prefix in ("", *alphabet[:2]):
            text = prefix + pump * (length // len(pump)) + "\n\0"
            yield text.encode("latin-1", "replace") if isinstance(expression.pattern, bytes) else text


def longest(expression: re.Pattern[Any], is_searched: bool, length: int = LENGTH) -> float:
    """The longest processor time for one text, in seconds; it stops at the first that is too long."""
    slowest = 0.0
    for text in texts(expression, length):
        for call in (expression.match, expression.fullmatch, *([expression.search] if is_searched else [])):
            # Twice: what else the process did in the first one must not count.
            spent = min(processor_seconds(call, text), processor_seconds(call, text))
            slowest = max(slowest, spent)
            if slowest > SECONDS:
                return slowest
    return slowest


# They are read in the tests: each process that collects tests would read all of them.
@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_regular_expressions_take_linear_time(package: ModuleType) -> None:
    found = {name: expression for name, expression in expressions(package).items() if name not in SHORT_TEXTS}
    assert found
    assert [name for name, expression in found.items() if longest(*expression) > SECONDS] == []


def test_the_search_finds_expressions_that_backtrack() -> None:
    # Longer texts than for the others, so that it does not depend on the machine: sixteen times as long already.
    assert longest(re.compile(r"\s*;?\s*x"), False, 4 * LENGTH) > SECONDS
    assert longest(re.compile(r"<<[^\n]*[&|][ \t]*$"), True, 4 * LENGTH) > SECONDS


def test_exceptions_exist() -> None:
    assert {name for package in PACKAGES for name in expressions(package)} >= SHORT_TEXTS.keys()
