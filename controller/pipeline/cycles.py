"""Cycles among steps: on plain names, for lint and for the operator alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def find(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """One cycle, written out (`a, b, a`), or None. `needs` maps each name to what it depends on."""
    done: set[str] = set()
    for start in needs:
        trail: list[str] = []
        on_trail: set[str] = set()
        # (name, its needs still to look at): a stack of our own, because pipelines may be deep.
        stack: list[tuple[str, list[str]]] = [(start, list(needs.get(start, ())))] if start not in done else []
        if stack:
            trail.append(start)
            on_trail.add(start)
        while stack:
            name, left = stack[-1]
            if not left:
                stack.pop()
                trail.pop()
                on_trail.discard(name)
                done.add(name)
                continue
            following = left.pop(0)
            if following in on_trail:
                return (*trail[trail.index(following) :], following)
            if following not in done and following in needs:
                stack.append((following, list(needs[following])))
                trail.append(following)
                on_trail.add(following)
    return None
