"""The pages about the config file and the object store describe every field, and their examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.storage import S3_OPTIONS, open_store
from workbench.config.contexts import CONTEXT_FIELDS, read_contexts
from workbench.config.preferences import PREFERENCES, read_preferences

DOCS = Path(__file__).parent.parent.parent / "docs"
CONFIG, STORE = (DOCS / name for name in ("config.md", "object-store.md"))
EXAMPLES = re.findall(r"```yaml\n(.*?)```", CONFIG.read_text(), re.DOTALL)
STORES = re.findall(r"^ +C8S_STORE=(\S+)$", STORE.read_text(), re.MULTILINE)


def rows(page: Path) -> set[str]:
    """What the first cells of the tables name."""
    return set(re.findall(r"^\| `([^`]+)` \|", page.read_text(), re.MULTILINE))


def test_every_field_of_the_config_file_is_described() -> None:
    fields = {"current-context", "contexts", *CONTEXT_FIELDS, *PREFERENCES}
    assert rows(CONFIG) == fields


def test_every_option_of_a_store_is_described() -> None:
    assert set(S3_OPTIONS) <= rows(STORE)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_of_the_config_file_are_valid(tmp_path: Path, example: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(example)
    assert "contexts" not in example or read_contexts(path).endpoints
    assert read_preferences(path).problems == ()


@pytest.mark.parametrize("url", STORES)
async def test_examples_of_stores_are_valid(url: str) -> None:
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
    store = open_store(url, signing_key=b"", public_url="", environment=environment)
    await store.close()


def test_pages_have_examples() -> None:
    assert len(EXAMPLES) == 4
    assert len(STORES) == 5
