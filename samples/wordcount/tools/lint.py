"""A very small linter: long lines, trailing blanks, tabs, unused imports. Prints `file:line: what`."""

import ast
import sys
from pathlib import Path

LIMIT = 100


def problems(path):
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LIMIT:
            yield number, f"{len(line)} characters, more than {LIMIT}"
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if "\t" in line:
            yield number, "a tab"
    tree = ast.parse(text)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                name = (alias.asname or alias.name).partition(".")[0]
                if name not in used:
                    yield node.lineno, f"{name} is imported and not used"


def main():
    found = 0
    files = sorted(file for folder in sys.argv[1:] for file in Path(folder).rglob("*.py"))
    for file in files:
        for line, what in problems(file):
            print(f"{file}:{line}: {what}")
            found += 1
    print(f"{len(files)} files, {found} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
