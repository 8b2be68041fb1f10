# The commands of this project. `just` is a convenience: each line works as it stands.

# a sandbox with a sample pipeline running, in the workbench
demo:
    .venv/bin/c8s demo

# all tests
test:
    .venv/bin/pytest

# format, lint, types, imports
check:
    .venv/bin/ruff format --check .
    .venv/bin/ruff check .
    .venv/bin/mypy
    .venv/bin/lint-imports

# the measurements behind the figures in bench/README.md
bench:
    .venv/bin/python bench/run.py

# put the code into its form
fmt:
    .venv/bin/ruff check --fix-only -q .
    .venv/bin/ruff format -q .

# start the default sandbox
up:
    .venv/bin/c8s up

# stop it
down:
    .venv/bin/c8s down
