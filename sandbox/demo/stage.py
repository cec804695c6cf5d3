"""Puts the story on a terminal: lines that stay, and below them a panel that shows the present.

Where the output is no terminal there is no panel; when it has been quiet for a while, what the
panel would show becomes a line.
"""

import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.text import Text

from sandbox.demo.judgement import Tally
from sandbox.demo.story import Line, Scene, Tone

_WIDEST = 100
_PLAIN_EVERY_SECONDS = 5.0
_TIME = 8
_LABEL = 14
_BAR = 30
_STYLES = {
    Tone.PLAIN: "",
    Tone.STRONG: "bold",
    Tone.GOOD: "green",
    Tone.BAD: "red",
    Tone.FAINT: "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What clients get at this moment; tallies by the name of the server."""

    title: str
    seconds: float
    recent: dict[str, Tally]
    recent_seconds: float
    so_far: Tally
    """The candidate's answers since the rollout began."""


class _Steady(Console):
    """A reader that has gone away is no reason to stop in disorder: what follows is unheard."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Stage:
    def __init__(
        self, file: TextIO = sys.stdout, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = _Steady(file=file, highlight=False)
        # A file is as wide as a page, whatever the terminal that started us.
        width = self._console.width if self._console.is_terminal else _WIDEST
        self._console.width = min(width, _WIDEST)
        self._live: Live | None = None
        self._clock = clock
        self._quiet_since = clock()

    def say(self, sentence: str) -> None:
        """A sentence as it is, such as those of the supervisor."""
        self._print(Text(sentence))

    def title(self, text: str, *below: str) -> None:
        self._print(Text(f"\n{text}", style="bold"))
        for sentence in below:
            self._print(Text(f"  {sentence}"))
        self._quiet_since = self._clock()

    def lines(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._print(_paragraph(line, self._console.width))
            self._quiet_since = self._clock()

    def show(self, table: RenderableType) -> None:
        self._print(Text())
        self._print(table)

    @contextmanager
    def panel(self) -> Iterator[None]:
        """For the length of the block, glances are shown below the lines."""
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def glance(self, scene: Scene, glance: Glance) -> None:
        """Shows the present: at once in the panel, else as a line when it has been quiet."""
        if self._live is not None:
            with suppress(OSError):
                self._live.update(_panel(scene, glance), refresh=True)
        elif self._clock() - self._quiet_since >= _PLAIN_EVERY_SECONDS:
            text = f"{_observed(scene, glance)}; {_so_far(scene, glance)}"
            self.lines([Line(seconds=glance.seconds, label="clients", text=text, tone=Tone.FAINT)])

    def _print(self, what: RenderableType) -> None:
        with suppress(OSError):
            self._console.print(what, soft_wrap=isinstance(what, Text))


def _paragraph(line: Line, width: int) -> Text:
    """Time, label, sentence; a long sentence goes on below its beginning."""
    at = "" if line.seconds is None else f"{line.seconds:.1f} s"
    style = _STYLES[line.tone]
    indent = _TIME + 2 + _LABEL
    first, *rest = textwrap.wrap(line.text, max(width - indent, 20)) or [""]
    return Text.assemble(
        (f"{at:>{_TIME}}  ", "dim"),
        (f"{line.label:<{_LABEL}}", style),
        ("\n".join([first, *(" " * indent + one for one in rest)]), style),
    )


def _panel(scene: Scene, glance: Glance) -> RenderableType:
    rows = [
        ("now", Text(scene.now, style="bold")),
        ("written", Text(scene.split)),
        ("observed", Text(_observed(scene, glance))),
        ("", _bar(scene, glance)),
        *(
            (f"gate {name}", Text(f"{gate.status}: {gate.reason}", style=_STYLES[gate.tone]))
            for name, gate in scene.gates.items()
        ),
        ("clients", Text(_so_far(scene, glance))),
    ]
    title = Text(f"{glance.title}, {glance.seconds:.0f} s", style="bold")
    return Group("", Rule(title, align="left", style="dim"), *(_cut(*row) for row in rows))


def _cut(label: str, text: Text) -> Text:
    """A row of the panel on one line, cut where the terminal ends: the panel must not jump."""
    row = Text(f"{'':>{_TIME}}  {label:<{_LABEL}}", no_wrap=True, overflow="ellipsis")
    return row.append_text(text)


def _bar(scene: Scene, glance: Glance) -> Text:
    """The shares as seen: stable from the left, the candidate up to the right."""
    stable, candidate, _ = _shares(scene, glance)
    total = stable + candidate
    right = round(_BAR * candidate / total) if total else 0
    right = max(right, 1) if candidate else right
    left = _BAR - right if total else 0
    return Text.assemble(
        ("█" * left, "cyan"), ("▒" * right, "yellow"), ("·" * (_BAR - left - right), "dim")
    )


def _observed(scene: Scene, glance: Glance) -> str:
    stable, candidate, total = _shares(scene, glance)
    if not total:
        return "no answers"
    return (
        f"{scene.stable} {100 * stable / total:.1f} %, "
        f"{scene.candidate} {100 * candidate / total:.1f} % "
        f"of {total:,} answers in {glance.recent_seconds:.0f} s"
    )


def _so_far(scene: Scene, glance: Glance) -> str:
    tally = glance.so_far
    counts = f"{tally.served:,} ({tally.failed:,} failed, {tally.slow:,} slow)"
    return f"answers of {scene.candidate} so far: {counts}"


def _shares(scene: Scene, glance: Glance) -> tuple[int, int, int]:
    """Recent answers of stable, of the candidate, and of all."""
    servers, recent = scene.servers, glance.recent
    stable = recent.get(servers.stable, Tally()).served
    candidate = recent.get(servers.candidate, Tally()).served
    return stable, candidate, sum(tally.served for tally in recent.values())
