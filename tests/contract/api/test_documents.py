"""The committed documents say what the code does."""

import re
from pathlib import Path

from controller import settings
from controller.api.auth.permissions import PERMISSIONS
from controller.api.http.problems import TYPES
from tools import generate, openapi, rest_reference

DOCS = Path(__file__).parents[3] / "docs"


def test_every_type_of_problem_is_explained_with_its_status() -> None:
    text = (DOCS / "api.md").read_text()
    missing = [kind.slug for kind in TYPES.values() if f"| `{kind.slug}` | {kind.status} |" not in text]
    assert not missing, f"docs/api.md does not explain {missing}"


def test_the_settings_page_is_the_table() -> None:
    assert (DOCS / "settings.md").read_text() == settings.render_table(), "run python -m tools.generate"


def test_the_committed_openapi_document_is_what_the_code_says() -> None:
    assert (DOCS / "openapi.json").read_text() == openapi.text(), (
        "run python -m tools.generate, and review the difference: clients depend on it"
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


def test_every_generated_file_is_up_to_date() -> None:
    outdated = [str(path) for path, text in generate.generated() if path.read_text() != text]
    assert outdated == [], "run python -m tools.generate"


def test_the_rest_reference_has_every_call_and_schema() -> None:
    document = openapi.document()
    headings = re.findall(r"^### (.+)$", rest_reference.render(document), re.MULTILINE)
    calls = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert sorted(headings) == sorted([*calls, *document["components"]["schemas"]])


def test_no_reference_leads_nowhere() -> None:
    document = openapi.document()
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', openapi.text()))
    assert names
    assert names <= set(document["components"]["schemas"])
