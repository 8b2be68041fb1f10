"""The committed documents say what the code does."""

import re
from pathlib import Path

from controller import settings
from controller.api import openapi
from controller.api.auth.permissions import PERMISSIONS
from controller.api.http.problems import TYPES

DOCS = Path(__file__).parents[3] / "docs"


def test_every_type_of_problem_is_explained_with_its_status() -> None:
    text = (DOCS / "api.md").read_text()
    missing = [kind.slug for kind in TYPES.values() if f"| `{kind.slug}` | {kind.status} |" not in text]
    assert not missing, f"docs/api.md does not explain {missing}"


def test_the_settings_page_is_the_table() -> None:
    assert (DOCS / "settings.md").read_text() == settings.render_table(), (
        "run python -m controller.settings > docs/settings.md"
    )


def test_the_committed_openapi_document_is_what_the_code_says() -> None:
    assert (DOCS / "openapi.json").read_text() == openapi.text(), (
        "run python -m controller.api.openapi > docs/openapi.json, and look at the difference: clients see it too"
    )


def test_every_operation_is_described_and_shows_its_problems() -> None:
    document = openapi.document()
    assert document["openapi"].startswith("3.1")
    seen = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            seen.append(operation["operationId"])
            assert "Needs: " in operation["description"], (method, path)
            assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}, (method, path)
    assert sorted(seen) == sorted(PERMISSIONS)


def test_every_call_of_the_contract_is_there() -> None:
    text = (DOCS / "ARCHITECTURE.md").read_text()
    section = text.partition("## REST API")[2].partition("Log frames")[0]
    paths = {re.sub(r"{[^}]*}", "{}", path) for path in openapi.document()["paths"]}
    calls = re.findall(r"`([A-Z|\\]+) ((?:/|…/)[^`? ]*)", section)
    assert len(calls) > 20
    for method, path in calls:
        start = "/api/v1" if path.startswith("…/agent/") else "/api/v1/namespaces/{ns}"
        full = path.replace("…", start)
        assert re.sub(r"{[^}]*}", "{}", full) in paths, (method, path)


def test_no_reference_leads_nowhere() -> None:
    document = openapi.document()
    for name in re.findall(r'"#/components/schemas/([^"]+)"', openapi.text()):
        assert name in document["components"]["schemas"], name
