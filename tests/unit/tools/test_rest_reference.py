"""The Markdown that is made from an OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest

from tools.rest_reference import render, type_of

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/things/{name}": {
            "get": {
                "tags": ["things"],
                "operationId": "getThing",
                "description": "One thing.\n\nNeeds: a token.",
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 500, "default": 50}},
                ],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                    "404": {"description": "A problem: `not-found`", "content": {"application/problem+json": {}}},
                },
            }
        },
        "/stream": {"get": {"operationId": "stream", "description": "", "responses": {"101": {"description": ""}}}},
    },
    "components": {
        "schemas": {"Thing": {"properties": {"name": {"type": "string", "description": "a|b"}}, "required": ["name"]}}
    },
}


def test_a_call_has_its_path_parameters_and_responses() -> None:
    page = render(DOCUMENT)
    assert "### getThing\n\n`GET /things/{name}`\n\nOne thing. Needs: a token.\n" in page
    assert "| `limit` | query | integer (at most 500), default `50` |  |" in page
    assert "Response 200: [Thing](#schema-thing) (`application/json`)." in page
    assert "Problems: 404 `not-found`." in page


def test_a_websocket_is_not_shown_as_get() -> None:
    assert "`WS /stream`" in render(DOCUMENT)


def test_a_schema_has_an_anchor_and_escapes_bars() -> None:
    page = render(DOCUMENT)
    assert '<a id="schema-thing"></a>' in page
    assert "| `name` (required) | string | a\\|b |" in page


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 3}, "list of integer (at most 3 items)"),
        ({"enum": ["a", "b"], "type": "string"}, "one of `a`, `b`"),
        ({"const": 1}, "`1`"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "map of string"),
        ({"type": "object", "patternProperties": {"^x": {"type": "string"}}}, "map of string"),
        ({"type": "object", "additionalProperties": True}, "object"),
        ({"type": "string", "format": "binary"}, "bytes"),
        ({}, "any value"),
    ],
)
def test_a_type_is_described_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_of(schema) == words
