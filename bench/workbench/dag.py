"""How long laying out a pipeline takes: the workbench does it once for each shape of a graph.

.venv/bin/python bench/workbench/dag.py
"""

from __future__ import annotations

import os
import platform
import random
import time

from workbench.dag import layout

_TIMES = 7


def stages(count: int, size: int, seed: int) -> tuple[list[str], list[tuple[str, str]]]:
    """A pipeline of stages, each step waiting for one to three of the stage before."""
    chance = random.Random(seed)
    nodes = [f"step-{at}" for at in range(count)]
    edges = [
        (nodes[source], nodes[target])
        for target in range(size, count)
        for source in chance.sample(
            range(target // size * size - size, target // size * size), chance.choice([1, 1, 2])
        )
    ]
    return nodes, edges


def fan(count: int) -> tuple[list[str], list[tuple[str, str]]]:
    middle = [f"test-{at}" for at in range(count - 2)]
    return ["build", *middle, "report"], [edge for name in middle for edge in (("build", name), (name, "report"))]


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; best of {_TIMES}")
    shapes = {
        "12 steps, fan of 10": fan(12),
        "100 steps, 1 to 98 to 1": fan(100),
        "100 steps in 10 stages": stages(100, 10, 1),
        "200 steps in 10 stages": stages(200, 20, 1),
        "200 steps in 20 stages": stages(200, 10, 1),
        "200 steps, 1 to 198 to 1": fan(200),
    }
    for name, (nodes, edges) in shapes.items():
        took = []
        for _ in range(_TIMES):
            started = time.perf_counter()
            drawing = layout(nodes, edges)
            took.append(time.perf_counter() - started)
        print(f"{name:26} {min(took) * 1000:6.1f} ms  {drawing.width} x {drawing.height} cells, {len(edges)} edges")


if __name__ == "__main__":
    main()
