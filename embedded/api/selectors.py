"""Parsing of label and field selectors into predicates on objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from embedded.api.names import validate_labels
from embedded.api.status_errors import bad_request
from embedded.types import JsonObject

Predicate = Callable[[JsonObject], bool]

_TOKEN = re.compile(r"\s*(?:(?P<symbol>!=|==|=|!|\(|\)|,|<|>)|(?P<word>[^\s!=(),<>]+))")
_COMMON_FIELDS = ("metadata.name", "metadata.namespace")
# The fields that a real server selects by, beyond name and namespace.
_SELECTABLE_FIELDS = {
    "pods": (
        *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"),
        *("status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"),
    ),
    "nodes": ("spec.unschedulable",),
    "events": (
        *("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid"),
        *("involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath"),
        *("reason", "reportingComponent", "source", "type"),
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "jobs.batch": ("status.successful",),
}


_TERM = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)
_ESCAPED_CHARACTERS = ("\\", ",", "=")
_SYMBOLS = ("", "!=", "==", "=", "!", "(", ")", ",", "<", ">")
# Values of fields that an object omits.
_FIELD_DEFAULTS = {"spec.hostNetwork": "false", "spec.unschedulable": "false"}
# Fields of events.k8s.io, by their names in stored events.
_EVENT_ALIASES = {"regarding": "involvedObject", "reportingController": "reportingComponent"}
_NUMBER = re.compile(r"[+-]?\d+")


class _Tokenizer:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise bad_request(f"unable to parse requirement: unexpected character at {position}")
            self._tokens.append(match.group("symbol") or match.group("word"))
            position = match.end()
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def previous(self) -> str:
        return self._tokens[self._at - 1] if self._at else ""

    def next_word(self, expected: str) -> str:
        token = self.next()
        if token in _SYMBOLS:
            raise bad_request(f"unable to parse requirement: found '{token}', expected: {expected}")
        return token


def parse_label_selector(text: str) -> Predicate | None:
    """Parse a label selector; None when it matches everything.

    Raises:
        ApiError: 400, the selector is invalid.
    """
    if not text.strip():
        return None
    tokens = _Tokenizer(text)
    if (first := tokens.peek()) != "!" and first in _SYMBOLS:
        raise bad_request(f"found '{first}', expected: !, identifier, or 'end of string'")
    tests = [_parse_requirement(tokens)]
    while tokens.peek() == ",":
        tokens.next()
        if (following := tokens.peek()) != "!" and following in _SYMBOLS:
            raise bad_request(f"found '{following}', expected: identifier after ','")
        tests.append(_parse_requirement(tokens))
    if tokens.peek():
        raise bad_request(f"found '{tokens.peek()}', expected: ',' or 'end of string'")

    def matches(obj: JsonObject) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def _parse_requirement(tokens: _Tokenizer) -> Callable[[dict[str, str]], bool]:
    if tokens.peek() == "!":
        tokens.next()
        absent = tokens.next_word("identifier")
        _require_valid_key(absent)
        return lambda labels: absent not in labels
    key = tokens.next_word("identifier")
    _require_valid_key(key)
    operator = tokens.peek()
    if operator in ("", ","):
        return lambda labels: key in labels
    tokens.next()
    if operator in ("=", "=="):
        value = _parse_value(tokens)
        _require_valid_values(key, [value])
        return lambda labels: labels.get(key) == value
    if operator == "!=":
        other = _parse_value(tokens)
        _require_valid_values(key, [other])
        return lambda labels: labels.get(key) != other
    if operator in ("<", ">"):
        return _integer_comparison(key, operator, _parse_value(tokens))
    if operator in ("in", "notin"):
        values = _parse_values(tokens)
        _require_valid_values(key, sorted(values))
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    raise bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")


def _require_valid_key(key: str) -> None:
    if errors := validate_labels({key: ""}, "key"):
        raise bad_request(f"unable to parse requirement: {errors[0].field}: {errors[0].message}")


def _require_valid_values(key: str, values: Sequence[str]) -> None:
    for index, value in enumerate(values):
        if errors := validate_labels({key: value}, f"values[{index}][{key}]"):
            raise bad_request(f"unable to parse requirement: {errors[0].field}: {errors[0].message}")


def _integer_comparison(key: str, operator: str, text: str) -> Callable[[dict[str, str]], bool]:
    """A test whether a label is an integer above or below `text`."""
    if not _NUMBER.fullmatch(text):
        detail = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise bad_request(f'unable to parse requirement: values[0][{key}]: Invalid value: "{text}": {detail}')
    bound = int(text)

    def fits(labels: dict[str, str]) -> bool:
        value = labels.get(key, "")
        return _NUMBER.fullmatch(value) is not None and (int(value) > bound if operator == ">" else int(value) < bound)

    return fits


def _parse_value(tokens: _Tokenizer) -> str:
    return "" if tokens.peek() in ("", ",") else tokens.next_word("identifier")


def _parse_values(tokens: _Tokenizer) -> frozenset[str]:
    if (symbol := tokens.next()) != "(":
        raise bad_request(f"unable to parse requirement: found '{symbol}', expected: '('")
    if tokens.peek() == ")":
        tokens.next()
        return frozenset({""})
    values = {_parse_element(tokens)}
    while (symbol := tokens.next()) == ",":
        values.add(_parse_element(tokens))
    if symbol != ")":
        raise bad_request(f"unable to parse requirement: found '{symbol}', expected: ',' or ')'")
    return frozenset(values)


def _parse_element(tokens: _Tokenizer) -> str:
    # An omitted element is the empty value, as in `in (a,)`.
    if tokens.peek() == "," or (tokens.peek() == ")" and tokens.previous() == ","):
        return ""
    return tokens.next_word("',', ')' or identifier")


def parse_field_selector(text: str, resource: str, extra_fields: Sequence[str] = ()) -> Predicate | None:
    """Parse a field selector; None when it matches everything.

    Rules: `ParseSelector` of apimachinery's `pkg/fields`. Empty terms are skipped, and spaces are part of a term.

    Args:
        resource: a `ResourceType.key`.
        extra_fields: fields that can be selected by in addition to those of the built-in kinds.

    Raises:
        ApiError: 400, the selector is invalid or names an unknown field.
    """
    known = (*_COMMON_FIELDS, *_SELECTABLE_FIELDS.get(resource, ()), *extra_fields)
    tests: list[tuple[list[str], str, bool]] = []
    for term in _split_terms(text):
        if not term:
            continue
        match = _TERM.fullmatch(term)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        path, operator, value = match.group(1), match.group(2), _unescape(match.group(3))
        if path not in known:
            names = ", ".join(f'"{name}"' for name in known)
            raise bad_request(f'"{path}" is not a known field selector: only {names}')
        root, *rest = path.split(".")
        if resource == "events":
            root = _EVENT_ALIASES.get(root, root)
        tests.append(([root, *rest], value, operator != "!="))
    if not tests:
        return None

    def matches(obj: JsonObject) -> bool:
        return all((_field_value(obj, path, resource) == value) is equal for path, value, equal in tests)

    return matches


def _split_terms(text: str) -> list[str]:
    """The terms of a field selector: what is between the commas that no backslash precedes."""
    terms: list[str] = []
    start, is_escaped = 0, False
    for at, character in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif character == ",":
            terms.append(text[start:at])
            start = at + 1
    return [*terms, text[start:]]


def _unescape(value: str) -> str:
    r"""The value of a term, in which a backslash precedes `\`, `,` and `=`.

    Raises:
        ApiError: 400, another character is escaped, or one of these is not.
    """
    plain: list[str] = []
    is_escaped = False
    for character in value:
        if not is_escaped and character == "\\":
            is_escaped = True
            continue
        if is_escaped and character not in _ESCAPED_CHARACTERS:
            raise bad_request(f"invalid field selector: invalid escape sequence: \\{character}")
        if not is_escaped and character in _ESCAPED_CHARACTERS:
            raise bad_request(f"invalid field selector: unescaped character in value: {ord(character)}")
        is_escaped = False
        plain.append(character)
    if is_escaped:
        raise bad_request("invalid field selector: invalid escape sequence: \\")
    return "".join(plain)


def _field_value(obj: JsonObject, path: list[str], resource: str) -> str:
    if path == ["source"]:
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    if path == ["status", "successful"]:
        path = ["status", "succeeded"]
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return (
            "0"
            if path == ["status", "succeeded"] and resource == "jobs.batch"
            else _FIELD_DEFAULTS.get(".".join(path), "")
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def parse_selectors(
    label_selector: str, field_selector: str, resource: str, extra_fields: Sequence[str] = ()
) -> Predicate | None:
    """Parse both selectors into one predicate; None when everything matches."""
    by_label, by_field = (
        parse_label_selector(label_selector),
        parse_field_selector(field_selector, resource, extra_fields),
    )
    if by_label and by_field:
        return lambda obj: by_label(obj) and by_field(obj)
    return by_label or by_field


def matches_label_selector(selector: JsonObject, labels: JsonObject) -> bool:
    """Whether labels match a LabelSelector (`matchLabels`, `matchExpressions`); an empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or []:
        value, values = labels.get(expression.get("key")), expression.get("values") or []
        fits = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }.get(expression.get("operator"), False)
        if not fits:
            return False
    return True
