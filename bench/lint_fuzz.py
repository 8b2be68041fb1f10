"""Ten thousand malformed pipeline files: lint answers each with clear errors, in how long?

    .venv/bin/python bench/lint_fuzz.py [--files 10000] [--seed 1]

Every file is a sample with a few pieces cut out, doubled or put in. One that is still a good pipeline does not count,
but has to be one for the model, too. A traceback, or an answer that says nothing, ends the program with exit code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

from machine import describe

from controller.pipeline.lint import LintResult, lint
from controller.pipeline.model import Pipeline

SAMPLES = sorted((Path(__file__).parent.parent / "samples").glob("**/*.yaml"))
PIECES = (
    "- ", ": ", "{", "}", "[", "]", "'", '"', "&a ", "*a", "<<: *a\n", "\t", "\n", "\n\n  ", "---\n", "|\n", "!x ",
    "? ", "null", "3.10", "\x00", "\udc80", "é", "💥", "name: ", "steps:\n", "dependsOn: [a]\n", "dependson: [greet]\n",
    "env: [{name: A}]\n", "matrix: {dimensions: {a: [1, 2]}}\n", "{{matrix.x}}", "{{params.x}}", "timeout: 5\n",
    "[" * 100, "a: &a [*a]\n", "when: never\n", "image:\n",
)  # fmt: skip


def malformed(chance: random.Random) -> str:
    """A sample with one to six pieces cut out, doubled, put in or swapped."""
    text = chance.choice(SAMPLES).read_text()
    for _ in range(chance.randint(1, 6)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.randint(0, 40))
        kind = chance.choice(("cut", "double", "put", "swap"))
        piece = chance.choice(PIECES)
        middle = {"cut": "", "double": text[start:end] * 2, "put": piece + text[start:end], "swap": piece}[kind]
        text = text[:start] + middle + text[end:]
    return text


def check(result: LintResult, text: str) -> None:
    """Raises when an answer is none."""
    if result.pipeline is not None:
        Pipeline.model_validate(result.pipeline)
        return
    if not result.errors:
        raise AssertionError("no pipeline, and no error")
    for problem in result.diagnostics:
        if not (problem.code and problem.message and problem.line >= 1 and problem.column >= 1):
            raise AssertionError(f"a problem that says nothing: {problem}")
        if problem.line > text.count("\n") + text.count("\r") + 1 + sum(text.count(c) for c in "\x85\u2028\u2029"):
            raise AssertionError(f"a problem beyond the end of the file: {problem}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    codes: Counter[str] = Counter()
    seconds: list[float] = []
    number = good = 0
    while number - good < args.files:
        number += 1
        text = malformed(chance)
        began = time.perf_counter()
        try:
            result = lint(text)
            seconds.append(time.perf_counter() - began)
            check(result, text)
        except Exception as error:
            print(f"file {number} of seed {args.seed}: {type(error).__name__}: {error}\n{text!r}")
            return 1
        good += result.pipeline is not None
        codes.update({problem.code for problem in result.errors})
    seconds.sort()
    print(f"lint_fuzz: {describe()}")
    print(f"  {number - good} malformed files refused with errors, no traceback; {good} more were still good")
    print(f"  lint of a file: median {seconds[len(seconds) // 2] * 1000:.1f} ms, longest {seconds[-1] * 1000:.0f} ms")
    print(f"  codes: {', '.join(f'{code} {count}' for code, count in codes.most_common())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
