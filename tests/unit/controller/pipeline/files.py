"""Pipeline files for tests, and their diagnostics as lines of text."""

from __future__ import annotations

from controller.pipeline.lint import lint

HEAD = "version: v1alpha1\nname: x\n"
STEP = "steps:\n  - name: a\n    image: busybox:1.36\n    commands: ['true']\n"
GOOD = HEAD + STEP


def codes(text: str | bytes) -> list[str]:
    """The diagnostics as `line:column severity code`."""
    return [f"{p.line}:{p.column} {p.severity} {p.code}" for p in lint(text).diagnostics]


def messages(text: str | bytes) -> str:
    """The messages and hints of the diagnostics, one a line."""
    return "\n".join(f"{p.message} | {p.hint}" for p in lint(text).diagnostics)


def two_steps(first: str = "", second: str = "") -> str:
    """A pipeline of the steps `a` (line 4) and `b` (line 8); more lines of each, without their indentation."""

    def more(lines: str) -> str:
        return "".join(f"    {line}\n" for line in lines.splitlines())

    step = "  - name: {}\n    image: busybox:1.36\n    commands: ['true']\n"
    return HEAD + "steps:\n" + step.format("a") + more(first) + step.format("b") + more(second)
