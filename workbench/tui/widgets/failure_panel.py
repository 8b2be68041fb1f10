"""The card of a failed step: what failed, what differs from its last success, and what one can do now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual import work
from textual.widgets import Static
from textual.worker import Worker

from workbench.client.models import LogSummary, Run, Step, TestCounts
from workbench.report.compare import cut_to_difference
from workbench.report.failure_card import (
    Baseline,
    CardLine,
    FailedCommand,
    FailedTests,
    FailureCard,
    fit_lines,
    initial_card,
)
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label
from workbench.text.width import cell_width
from workbench.tui.boundary import ErrorBoundary
from workbench.tui.theme import ERROR_SIGN, Palette, palette

MIN_ROWS = 4
"""Rows below which a card is useless: the failure, its command, a line of the log, the actions."""
MAX_ROWS = 14
_KEPT_CARDS = 16
_MAX_TEXT = 500
_MAX_FILES = 20
_END = "(the log ends here)"


@dataclass(frozen=True)
class CardKeys:
    """The labels of the keys that a card names; None for an action that is not available."""

    close: str
    open_source: str | None
    shell: str | None = None
    resume: str | None = None
    rerun_failed: str | None = None
    rerun: str | None = None
    hold: str | None = None
    tests: str = "T"


GatherCard = Callable[[], Awaitable[FailureCard]]
_CardKey = tuple[str, str, int, LogSummary | None, TestCounts | None, str | None]


class FailurePanel(ErrorBoundary, Static):
    """Shows the card of the failed step that `show_failed` was called with, as soon as it is gathered."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._key: _CardKey | None = None
        self._card: FailureCard | None = None
        self._keys = CardKeys("I", "o")
        self._drawn: Text | None = None
        self._rows = MAX_ROWS
        self._gathered: dict[_CardKey, FailureCard] = {}
        self._worker: Worker[None] | None = None

    @property
    def card(self) -> FailureCard | None:
        return self._card

    def show_failed(self, run: Run, step: Step, green: Run | None, keys: CardKeys, gather: GatherCard | None) -> None:
        """Show what the run says of the failure, and gather the rest in the background.

        Args:
            green: the last run in which the step succeeded.
            gather: gathers the whole card; None while there is no connection.
        """
        key, self._keys = _card_key(run, step, green), keys
        is_new = key != self._key
        if is_new:
            self._key = key
            self._card = self._gathered.get(key) or initial_card(run, step)
        self._draw()
        gathering = not is_new and self._worker is not None and not self._worker.is_finished
        if gather is not None and self._card is not None and self._card.loading and not gathering:
            self._worker = self._gather(gather, key)

    def fit(self, rows: int) -> None:
        """Use at most this many rows."""
        rows = min(rows, MAX_ROWS)
        if rows != self._rows:
            self._rows = rows
            self._draw()

    @work(group="card", exclusive=True, description="explain a failed step")
    async def _gather(self, gather: GatherCard, key: _CardKey) -> None:
        card = await gather()
        if card.problem is None:
            while len(self._gathered) >= _KEPT_CARDS:
                del self._gathered[next(iter(self._gathered))]
            self._gathered[key] = card
        if key == self._key:
            self._card = card
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._card is None:
            return
        rows = card_rows(self._card, self._keys, palette(self.app), max(self.size.width, 20), self._rows)
        text = Text("\n", no_wrap=True, overflow="ellipsis").join(rows)
        if text != self._drawn:
            self._drawn = text
            self.styles.height = len(rows)
            self.update(text, layout=False)


def _card_key(run: Run, step: Step, green: Run | None) -> _CardKey:
    attempt = step.last_attempt
    number, log, tests = (attempt.number, attempt.log, attempt.tests) if attempt is not None else (0, None, None)
    return run.name, step.slug, number, log, tests, green.name if green is not None else None


def card_rows(card: FailureCard, keys: CardKeys, colours: Palette, width: int, rows: int) -> list[Text]:
    """The card as at most `rows` rows: what matters least is left out, and then lines around the failing one."""
    head = [_title(card, keys, colours, width)]
    if card.command is not None:
        head.append(_command(card.command, colours))
    if card.problem is not None:
        head.append(Text(f" {sanitize_label(card.problem, _MAX_TEXT)}", colours.warning))
    if card.tests is not None:
        head.append(_tests(card.tests, keys, colours))
    comparison = _comparison(card, colours, width)
    changes = _changes(card.baseline, colours) if card.baseline is not None else []
    actions = _actions(card, keys, colours, width)
    room = rows - len(head) - len(actions) - bool(card.lines)
    if len(comparison) + len(changes) > room:
        changes = changes if len(changes) <= room and not card.lines else []
    if len(comparison) > room:
        comparison = []
    lines = fit_lines(card.lines, rows - len(head) - len(comparison) - len(changes) - len(actions))
    return [*head, *_lines(lines, colours), *comparison, *changes, *actions][:rows]


def _title(card: FailureCard, keys: CardKeys, colours: Palette, width: int) -> Text:
    closes = f"{keys.close} closes "
    room = max(width - cell_width(closes) - 1, 10)
    title = sanitize_label(f"✗ {card.step}: {card.message}", room - 1)
    text = Text(f" {title}", colours.error + Style(bold=True))
    text.append(" " * max(room - 1 - cell_width(title), 1))
    return text.append(closes, colours.faint)


def _command(command: FailedCommand, colours: Palette) -> Text:
    details = []
    if command.exit_code is not None:
        details.append(f"exit code {command.exit_code}")
    if command.seconds is not None:
        details.append(format_duration(command.seconds))
    text = Text(" ").append(f"{' · '.join(details)}  " if details else "", colours.error)
    return text.append(f"$ {sanitize_label(command.text, _MAX_TEXT)}", colours.bold)


def _tests(tests: FailedTests, keys: CardKeys, colours: Palette) -> Text:
    text = Text(f" {tests.failed:,} of {tests.total:,} tests failed", colours.error)
    names = ", ".join(sanitize_label(name, 80) for name in tests.names)
    more = tests.failed - len(tests.names)
    text.append(f": {names}{f' and {more:,} more' if more > 0 else ''}" if names else "", colours.plain)
    return text.append(f"   {keys.tests} ", colours.highlight).append("shows them", colours.muted)


def _lines(lines: Sequence[CardLine], colours: Palette) -> list[Text]:
    digits = max((len(str(line.number)) for line in lines), default=1)
    rows = []
    for line in lines:
        text = Text(" ").append(ERROR_SIGN if line.failing else " ", colours.error)
        text.append(f"{line.number:>{digits}} ", colours.faint)
        rows.append(text.append(sanitize_label(line.text, _MAX_TEXT), colours.error if line.failing else colours.plain))
    return rows


def _comparison(card: FailureCard, colours: Palette, width: int) -> list[Text]:
    baseline = card.baseline
    if card.loading:
        return [Text(" Comparing with its last success …", colours.muted)]
    if baseline is None:
        return [Text(" This step has not succeeded in an earlier run that is still stored.", colours.muted)]
    run, found = sanitize_label(baseline.run, 60), baseline.difference
    if baseline.problem is not None:
        problem = sanitize_label(baseline.problem, _MAX_TEXT)
        return [Text(f" Not compared with {run}, where it succeeded: {problem}", colours.muted)]
    if card.problem is not None:
        return []
    if found is None:
        return [Text(f" The log is the same as in {run}, where it succeeded, ignoring times.", colours.muted)]
    heading = Text(f" Differs from {run}, where it succeeded, from line {found.line:,}", colours.bold)
    rows = [heading]
    then, now = (_END if line is None else sanitize_label(line, _MAX_TEXT) for line in (found.left, found.right))
    then, now = cut_to_difference(then, now, width - len("  then "))
    for name, shown, style in (("then", then, colours.success), ("now ", now, colours.error)):
        rows.append(Text(f"  {name} ", colours.muted).append(shown, style))
    return rows


def _changes(baseline: Baseline, colours: Palette) -> list[Text]:
    changes, run = baseline.changes, sanitize_label(baseline.run, 60)
    if changes is None:
        return []
    if not changes.files:
        uncommitted = ", with uncommitted changes" if changes.uncommitted else ""
        return [Text(f" The same commit as {run}{uncommitted}.", colours.muted)]
    uncommitted = " and uncommitted changes" if changes.uncommitted else ""
    text = Text(f" Changed since {run}: ", colours.muted)
    count = len(changes.files)
    text.append(f"{count:,} file{'' if count == 1 else 's'}{uncommitted}:", colours.muted)
    for change in changes.files[:_MAX_FILES]:
        text.append(f"  {sanitize_label(change.status, 1)} ", colours.accent)
        text.append(sanitize_label(change.path, 200), colours.plain)
    return [text]


def _actions(card: FailureCard, keys: CardKeys, colours: Palette, width: int) -> list[Text]:
    """What one can do now, in as many rows as it takes."""
    source = f"edit {card.source.label}" if card.source is not None else None
    named = (
        (keys.open_source if source is not None else None, source),
        (keys.shell, "shell in its workspace"),
        (keys.resume, "resume"),
        (keys.rerun_failed, "rerun failed"),
        (keys.rerun, "rerun all"),
        (keys.hold, "hold it next time"),
    )
    rows = list[Text]()
    for key, action in named:
        if key is None or action is None:
            continue
        text = Text(f"{key} ", colours.highlight).append(sanitize_label(action, 80), colours.muted)
        if rows and rows[-1].cell_len + len("   ") + text.cell_len <= width:
            rows[-1].append("   ").append_text(text)
        else:
            rows.append(Text(" ").append_text(text))
    return rows
