"""Algorithms on a directed graph of names: cycles, topological order, longest path.

`dependencies` maps each name to those it depends on; unknown names are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Dependencies = Mapping[str, Sequence[str]]


def find_cycle(dependencies: Dependencies) -> tuple[str, ...] | None:
    """A cycle as a path that ends where it starts (`a, b, a`), or None."""
    done: set[str] = set()
    for start in dependencies:
        if start in done:
            continue
        # Iterative, because a graph may be deeper than the recursion limit.
        path, stack = {start: None}, [(start, iter(dependencies[start]))]
        while stack:
            name, remaining = stack[-1]
            following = next(remaining, None)
            if following is None:
                stack.pop()
                del path[name]
                done.add(name)
            elif following in path:
                names = list(path)
                return (*names[names.index(following) :], following)
            elif following not in done and following in dependencies:
                path[following] = None
                stack.append((following, iter(dependencies[following])))
    return None


def topological_sort(dependencies: Dependencies) -> tuple[str, ...]:
    """All names, each after its dependencies, otherwise in the given order, which also holds within a cycle."""
    position = {name: index for index, name in enumerate(dependencies)}
    missing = {name: {other for other in direct if other in dependencies} for name, direct in dependencies.items()}
    dependents: dict[str, list[str]] = {name: [] for name in dependencies}
    for name, direct in missing.items():
        for other in direct:
            dependents[other].append(name)
    left = {name: len(direct) for name, direct in missing.items()}
    ordered: dict[str, None] = {}
    ready = [name for name, count in left.items() if not count]
    while ready:
        ordered |= dict.fromkeys(ready)
        following = []
        for dependent in (each for name in ready for each in dependents[name]):
            left[dependent] -= 1
            if not left[dependent]:
                following.append(dependent)
        ready = sorted(following, key=position.__getitem__)
    return (*ordered, *(name for name in dependencies if name not in ordered))


def transitive_dependencies(dependencies: Dependencies) -> dict[str, tuple[str, ...]]:
    """The direct and indirect dependencies of each name, in the given order."""
    names = list(dependencies)
    bits = {name: 1 << index for index, name in enumerate(names)}
    # What each name reaches, as a set of bits. Without cycles the first round finds everything.
    reached = dict.fromkeys(names, 0)
    ordered = topological_sort(dependencies)
    changed = True
    while changed:
        changed = False
        for name in ordered:
            found = reached[name]
            for other in dependencies[name]:
                found |= bits.get(other, 0) | reached.get(other, 0)
            changed = changed or found != reached[name]
            reached[name] = found
    return {name: tuple(other for other in names if reached[name] & bits[other]) for name in names}


def longest_path(dependencies: Dependencies, lengths: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
    """The path with the greatest total length, and that length. Names without a length count as 0."""
    before: dict[str, str | None] = {}
    total: dict[str, float] = {}
    for name in topological_sort(dependencies):
        known = [need for need in dependencies[name] if need in total]
        longest = max(known, key=lambda need: total[need], default=None)
        before[name] = longest
        total[name] = lengths.get(name, 0) + (total[longest] if longest is not None else 0)
    last = max(total, key=lambda name: total[name], default=None)
    path: list[str] = []
    current = last
    while current is not None:
        path.append(current)
        current = before[current]
    return (total[last] if last is not None else 0), tuple(reversed(path))
