"""Parses CEL into a syntax tree, by the grammar of cel-spec's language definition."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

from embedded.cel.values import CelError

_TOKEN = re.compile(
    r"""(?:\s|//[^\n]*+)*+(?:
    (?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<int>(?:0x[0-9a-fA-F]+|\d+)[uU]?)
    |(?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"
        |'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol>\?\.|\[\?|&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    )""",
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"(?:\s|//[^\n]*+)*+")
"""Space and comments, also at the end of an expression."""
MAX_EXPRESSION_LENGTH = 32 * 1024
_MAX_DEPTH = 40
_MAX_DIGITS = 100
_RELATIONS = ("==", "!=", "<", "<=", ">", ">=", "in")
_CONSTANTS = {"true": True, "false": False, "null": None}
_MACROS = {"all": (2,), "exists": (2,), "exists_one": (2,), "existsOne": (2,), "filter": (2,), "map": (2, 3)}


@dataclass(frozen=True)
class Literal:
    value: Any


@dataclass(frozen=True)
class Name:
    name: str


@dataclass(frozen=True)
class Select:
    """`operand.field`; with `optional` `operand.?field`; with `test` `has(operand.field)`."""

    operand: Node
    field: str
    optional: bool = False
    test: bool = False


@dataclass(frozen=True)
class Index:
    operand: Node
    key: Node
    optional: bool = False


@dataclass(frozen=True)
class Call:
    """A call of a function, an operator or, with `target`, a method."""

    function: str
    arguments: tuple[Node, ...]
    target: Node | None = None


@dataclass(frozen=True)
class Macro:
    """A macro such as `target.all(variable, body)`; `body` has two parts for `map` with a filter."""

    function: str
    target: Node
    variable: str
    body: tuple[Node, ...]


@dataclass(frozen=True)
class ListLiteral:
    items: tuple[Node, ...]


@dataclass(frozen=True)
class MapLiteral:
    entries: tuple[tuple[Node, Node], ...]


Node = Literal | Name | Select | Index | Call | Macro | ListLiteral | MapLiteral


def parse(text: str) -> Node:
    """Parse an expression.

    Raises:
        CelError: the syntax is wrong, or the expression is too long.
    """
    if len(text) > MAX_EXPRESSION_LENGTH:
        raise CelError(f"Syntax error: the expression is longer than {MAX_EXPRESSION_LENGTH} characters")
    return _Parser(text).parse()


def _tokenize(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while _BLANK.fullmatch(text, position) is None:
        match = _TOKEN.match(text, position)
        if match is None:
            raise CelError(f"Syntax error: token recognition error at: '{text[position : position + 10]}'")
        kind = str(match.lastgroup)
        found.append((kind, match.group(kind)))
        position = match.end()
    return [*found, ("end", "<EOF>")]


def _parse_string(text: str) -> str | bytes:
    prefix = text[: len(text) - len(text.lstrip("rRbB"))].lower()
    body = text[len(prefix) :]
    try:
        # CEL has the escapes of Python, and \` and \?.
        plain = body if "r" in prefix else re.sub(r"(\\\\)|\\([`?])", lambda m: m.group(1) or m.group(2), body)
        value = ast.literal_eval(("r" if "r" in prefix else "") + plain)
    except (SyntaxError, ValueError) as error:
        raise CelError(f"Syntax error: {text}: {error}") from None
    return value.encode() if "b" in prefix else str(value)


def _parse_literal(kind: str, text: str) -> Any:
    if kind == "float":
        return float(text)
    if kind == "string":
        return _parse_string(text)
    digits = text.rstrip("uU")
    if len(digits) > _MAX_DIGITS:
        raise CelError("Syntax error: invalid int literal")
    return int(digits, 16 if digits.startswith("0x") else 10)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokenize(text)
        self._position = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._expression()
        if self._peek() != "<EOF>" or self._tokens[self._position][0] != "end":
            raise self._unexpected()
        return node

    def _peek(self) -> str:
        kind, text = self._tokens[self._position]
        return text if kind in ("symbol", "name", "end") else ""

    def _accept(self, *texts: str) -> str:
        if self._tokens[self._position][0] in ("symbol", "name") and self._peek() in texts:
            self._position += 1
            return self._tokens[self._position - 1][1]
        return ""

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._unexpected(f", expecting '{text}'")

    def _unexpected(self, more: str = "") -> CelError:
        return CelError(f"Syntax error: unexpected '{self._tokens[self._position][1]}'{more}")

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise CelError("Syntax error: nested too deeply")
        node = self._binary(0)
        if self._accept("?"):
            then = self._binary(0)
            self._expect(":")
            node = Call("?:", (node, then, self._expression()))
        self._depth -= 1
        return node

    _LEVELS: tuple[tuple[str, ...], ...] = (("||",), ("&&",), _RELATIONS, ("+", "-"), ("*", "/", "%"))

    def _binary(self, level: int) -> Node:
        if level == len(self._LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while operator := self._accept(*self._LEVELS[level]):
            node = Call(operator, (node, self._binary(level + 1)))
        return node

    def _unary(self) -> Node:
        operators = []
        while operator := self._accept("!", "-"):
            operators.append(operator)
        node = self._member()
        for operator in reversed(operators):
            if operator == "-" and isinstance(node, Literal) and type(node.value) in (int, float):
                node = Literal(-node.value)
            else:
                node = Call(f"{operator}_", (node,))
        return node

    def _member(self) -> Node:
        node = self._primary()
        while step := self._accept(".", "?.", "[", "[?"):
            if step in ("[", "[?"):
                node = Index(node, self._expression(), step == "[?")
                self._expect("]")
                continue
            optional = step == "?." or bool(self._accept("?"))
            name = self._name()
            if not optional and self._accept("("):
                node = self._method(node, name, self._arguments(")"))
            else:
                node = Select(node, name, optional)
        return node

    def _method(self, of: Node, name: str, arguments: tuple[Node, ...]) -> Node:
        if len(arguments) in _MACROS.get(name, ()):
            variable = arguments[0]
            if not isinstance(variable, Name):
                raise CelError("argument must be a simple name")
            return Macro(name, of, variable.name, arguments[1:])
        if name in ("optMap", "optFlatMap") and len(arguments) == 2 and isinstance(arguments[0], Name):
            return Macro(name, of, arguments[0].name, arguments[1:])
        if isinstance(of, Name) and of.name in ("sets", "optional"):
            return Call(f"{of.name}.{name}", arguments)
        return Call(name, arguments, of)

    def _name(self) -> str:
        kind, text = self._tokens[self._position]
        if kind != "name" or text in _CONSTANTS or text == "in":
            raise self._unexpected(", expecting IDENTIFIER")
        self._position += 1
        return text

    def _primary(self) -> Node:
        kind, text = self._tokens[self._position]
        if kind in ("int", "float", "string"):
            self._position += 1
            return Literal(_parse_literal(kind, text))
        if self._accept("("):
            node = self._expression()
            self._expect(")")
            return node
        if self._accept("["):
            return ListLiteral(self._arguments("]"))
        if self._accept("{"):
            return self._map()
        if self._accept("true", "false", "null"):
            return Literal(_CONSTANTS[text])
        self._accept(".")
        name = self._name()
        if not self._accept("("):
            return Name(name)
        arguments = self._arguments(")")
        if name != "has":
            return Call(name, arguments)
        if len(arguments) != 1 or not isinstance(select := arguments[0], Select):
            raise CelError("invalid argument to has() macro")
        return Select(select.operand, select.field, select.optional, test=True)

    def _arguments(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._accept(end):
            if found:
                self._expect(",")
                if self._accept(end):
                    break
            found.append(self._expression())
        return tuple(found)

    def _map(self) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self._accept("}"):
            if entries:
                self._expect(",")
                if self._accept("}"):
                    break
            key = self._expression()
            self._expect(":")
            entries.append((key, self._expression()))
        return MapLiteral(tuple(entries))
