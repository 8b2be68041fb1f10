"""Regenerates every committed file that is made from code: `python -m tools.generate [--check]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from controller import limits, settings
from controller.operator.manifests import generate as manifests
from controller.operator.manifests import rbac
from controller.pipeline import schema
from controller.run_types import reference as status_reasons
from embedded import limits as embedded_limits
from tools import keys_reference, openapi, rest_reference

ROOT = Path(__file__).parents[1]
RIGHTS_PAGE = ROOT / "docs" / "reference" / "rights.md"
REASONS_PAGE = ROOT / "docs" / "reference" / "status-reasons.md"


def between(page: str, name: str, text: str) -> str:
    """The page with a new text between the comments `NAME: begin` and `NAME: end`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, rest = page.split(begin)
    return f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}"


def generated() -> Iterator[tuple[Path, str]]:
    """Each file with its current text."""
    yield schema.PACKAGED_SCHEMA, schema.schema_text()
    yield schema.PUBLISHED_SCHEMA, schema.schema_text()
    for name, document in manifests.manifests().items():
        yield manifests.FOLDER / name, manifests.render(document)
    yield ROOT / "docs" / "settings.md", settings.render_table()
    yield ROOT / "docs" / "reference" / "limits.md", limits.render(embedded_limits.LIMITS)
    yield rest_reference.DOCUMENT, openapi.text()
    yield rest_reference.PAGE, rest_reference.render(openapi.document())
    yield REASONS_PAGE, between(REASONS_PAGE.read_text(), "reasons", status_reasons.render())
    yield RIGHTS_PAGE, between(RIGHTS_PAGE.read_text(), "rights", rbac.render_table())
    yield keys_reference.PAGE, keys_reference.render(keys_reference.PAGE.read_text())


def main(argv: list[str] | None = None) -> int:
    """Write the files that are out of date, or only name them (`--check`). Returns 1 if a check finds one."""
    parser = argparse.ArgumentParser(description="Regenerate every committed file that is made from code.")
    parser.add_argument("--check", action="store_true", help="name files that are out of date, write nothing")
    arguments = parser.parse_args(argv)
    outdated = [(path, text) for path, text in generated() if not path.exists() or path.read_text() != text]
    for path, text in outdated:
        print(f"{'out of date' if arguments.check else 'written'}: {path.relative_to(ROOT)}")
        if not arguments.check:
            path.write_text(text)
    return 1 if arguments.check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
