"""Which keys the footer shows for the state of a run. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.client.models import Run, Step

FOLLOW = ("log.follow", "run.follow")
"""The same key: that of the log while it has the focus, and that of the screen."""
_STATE_DEPENDENT = frozenset(
    (*FOLLOW, "start.stop", "app.cancel", "app.edit", "run.shell", "run.resume", "run.rerun", "run.compare")
)


def footer_actions(run: Run | None, step: Step | None) -> tuple[str, ...]:
    """The names of the actions that the state of a run asks for, most important first.

    `step` is the selected step, if any.
    """
    if run is None:
        return ("app.run", "app.edit")
    shell = ("run.shell",) if step is not None and _has_shell(step) else ()
    if step is not None and step.held is not None:
        later = () if step.held == "before" else ("run.retry", "run.accept")
        return ("run.continue", "run.shell", *later, "app.cancel")
    if not run.ended:
        return (*FOLLOW, "app.cancel", *shell)
    if run.phase == "Succeeded":
        return ("run.rerun", "run.compare", "app.edit")
    return (*shell, "run.resume", "run.rerun", "app.edit")


def other_screen_actions(run: Run | None) -> tuple[str, ...]:
    """The names of actions that fit on a screen about a run that is not its own, such as its details."""
    return ("app.edit",) if run is None or run.ended else ("app.edit", "app.cancel")


def _has_shell(step: Step) -> bool:
    return step.state in ("Running", "Held") or step.attempt_with_workspace is not None


def choose_actions(
    wanted: Sequence[str] | None, shown: Sequence[str], widths: Sequence[int], width: int, *, first: bool = True
) -> list[int]:
    """The indexes of the actions that the footer shows, in order; as many as fit.

    Args:
        wanted: the actions that the state asks for; None where no state matters.
        shown: the names of all actions that could be shown.
        widths: their widths in cells.
        width: that of the footer.
        first: whether the wanted actions come before the others.
    """
    rank = {name: at for at, name in enumerate(wanted or ())}
    chosen = [at for at, name in enumerate(shown) if wanted is None or name in rank or name not in _STATE_DEPENDENT]
    if first:
        chosen.sort(key=lambda at: rank.get(shown[at], len(rank)))
    # Help is never left out: it leads to all the others.
    used = sum(widths[at] for at in chosen if shown[at] == "app.help")
    fitting = []
    for at in chosen:
        if shown[at] != "app.help":
            used += widths[at]
            if used > width:
                used -= widths[at]
                continue
        fitting.append(at)
    return fitting
