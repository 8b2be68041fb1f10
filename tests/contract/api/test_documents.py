"""The committed documents say what the code does."""

from pathlib import Path

from controller import settings
from controller.api.problems import TYPES

DOCS = Path(__file__).parents[3] / "docs"


def test_every_type_of_problem_is_explained_with_its_status() -> None:
    text = (DOCS / "api.md").read_text()
    missing = [kind.slug for kind in TYPES.values() if f"| `{kind.slug}` | {kind.status} |" not in text]
    assert not missing, f"docs/api.md does not explain {missing}"


def test_the_settings_page_is_the_table() -> None:
    assert (DOCS / "settings.md").read_text() == settings.table(), (
        "run python -m controller.settings > docs/settings.md"
    )
