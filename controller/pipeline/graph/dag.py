"""Steps as a directed graph on plain names, for lint and for the operator alike: cycles, order, the longest path.

`needs` maps each name to what it depends on; a need that is no key is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Dependencies = Mapping[str, Sequence[str]]


def find_cycle(needs: Dependencies) -> tuple[str, ...] | None:
    """One cycle, written out (`a, b, a`), or None."""
    done: set[str] = set()
    for start in needs:
        if start in done:
            continue
        # What is being looked at, and where in its needs we are: a stack of our own, because graphs may be deep.
        trail, at = {start: None}, [(start, iter(needs[start]))]
        while at:
            name, left = at[-1]
            following = next(left, None)
            if following is None:
                at.pop()
                del trail[name]
                done.add(name)
            elif following in trail:
                names = list(trail)
                return (*names[names.index(following) :], following)
            elif following not in done and following in needs:
                trail[following] = None
                at.append((following, iter(needs[following])))
    return None


def topological_sort(needs: Dependencies) -> tuple[str, ...]:
    """All names, each after what it needs; otherwise as they were given. In a cycle: as they were given."""
    missing = {name: {need for need in wanted if need in needs} for name, wanted in needs.items()}
    ordered: dict[str, None] = {}
    while missing:
        ready = [name for name, wanted in missing.items() if not wanted - ordered.keys()] or list(missing)
        for name in ready:
            ordered[name] = None
            del missing[name]
    return tuple(ordered)


def transitive_dependencies(needs: Dependencies) -> dict[str, tuple[str, ...]]:
    """For each name all that it needs, directly or not, in the order given."""
    found: dict[str, tuple[str, ...]] = {}
    for name in needs:
        seen: set[str] = set()
        left = list(needs[name])
        while left:
            current = left.pop()
            if current in needs and current not in seen:
                seen.add(current)
                left += needs[current]
        found[name] = tuple(other for other in needs if other in seen)
    return found


def longest_path(needs: Dependencies, lengths: Mapping[str, float]) -> tuple[float, tuple[str, ...]]:
    """The path whose lengths add up to most, from its first to its last name. A name without a length counts as 0."""
    before: dict[str, str | None] = {}
    total: dict[str, float] = {}
    for name in topological_sort(needs):
        known = [need for need in needs[name] if need in total]
        longest = max(known, key=lambda need: total[need], default=None)
        before[name] = longest
        total[name] = lengths.get(name, 0) + (total[longest] if longest is not None else 0)
    last = max(total, key=lambda name: total[name], default=None)
    path: list[str] = []
    here = last
    while here is not None:
        path.append(here)
        here = before[here]
    return (total[last] if last is not None else 0), tuple(reversed(path))
