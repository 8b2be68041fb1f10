# The commands of this project. `just` is a convenience: each line works as it stands.

# the tour of a small project, in a sandbox of its own
demo:
    .venv/bin/c8s demo

# all tests
test:
    .venv/bin/pytest

# other people's clients of Kubernetes against the embedded cluster, in an environment of their own
clients:
    python3 -m venv .venv-clients
    .venv-clients/bin/pip install -q -r tests/contract/clients/requirements.txt
    .venv-clients/bin/pytest tests/contract/clients

# format, lint, types, imports, documentation site
check:
    .venv/bin/ruff format --check .
    .venv/bin/ruff check .
    .venv/bin/mypy
    .venv/bin/lint-imports
    NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

# format the code and apply automatic fixes
fmt:
    .venv/bin/ruff check --fix-only -q .
    .venv/bin/ruff format -q .

# regenerate every committed file that is made from code
generate:
    .venv/bin/python -m tools.generate

# take the pictures of the documentation from the running program (docs/images); needs Chromium
pictures:
    .venv/bin/python -m tools.pictures

# the documentation as a site, on http://127.0.0.1:8000
docs:
    NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs serve

# the measurements behind the figures in bench/README.md
bench:
    .venv/bin/python bench/run.py

# start the default sandbox
up:
    .venv/bin/c8s up

# stop it
down:
    .venv/bin/c8s down
