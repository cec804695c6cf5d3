"""The end of the demo: what was expected, what came, what it cost whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.table import Table
from rich.text import Text

from sandbox.demo.judgement import Account, Ended
from sandbox.demo.specs import TRIALS
from sandbox.load import Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A trial that has come to an end, with what is wrong with it."""

    name: str
    ended: Ended
    account: Account
    broken: Sequence[str]


def table(results: Sequence[Result]) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    made.add_column("rollout")
    made.add_column("must end")
    made.add_column("ended")
    for heading in ("took", "candidate\nserved", "of those\nfailed", "others\nfailed", "bad for"):
        made.add_column(heading, justify="right", vertical="bottom")
    for result in results:
        made.add_row(*_cells(result))
    made.caption = "bad for: from the candidate's first bad answer to its last answer of any kind"
    made.caption_justify = "left"
    return made


def _cells(result: Result) -> list[Text]:
    ended, account = result.ended, result.account
    style = "red" if result.broken else "green"
    others = account.other_failures
    return [
        Text(result.name, style="bold"),
        Text(ended.trial.ending.words),
        Text(ended.phase.replace("_", " "), style=style),
        Text(_seconds(ended.took)),
        Text(f"{account.candidate.served:,}"),
        Text(f"{account.candidate.failed:,}"),
        Text(f"{others:,}", style="red" if others else ""),
        Text(_seconds(account.bad_for)),
    ]


def _seconds(span: timedelta | None) -> str:
    return "-" if span is None else f"{span.total_seconds():.1f} s"


def conclusion(results: Sequence[Result], load: Load) -> str:
    """In sentences: all as it must be, or each expectation that did not hold."""
    broken = [sentence for result in results for sentence in result.broken]
    untried = [trial.version for trial in TRIALS[len(results) :]]
    broken += [
        f"{version} was not tried, since the rollout before it did not end" for version in untried
    ]
    if broken:
        return "\n".join(["", "Not as it must be:", *(f"  {sentence}" for sentence in broken)])
    failed = sum(result.account.own_failures for result in results)
    sent = len(load.timeline)
    sentences = [
        f"All {len(results)} ended as they must: the answers to {sent:,} requests show it.",
        f"{failed:,} of these failed, each one by the bad version itself and none by a rollout.",
    ]
    if load.skipped:
        sentences.append(f"{load.skipped:,} more were not sent: this machine was too busy.")
    return "\n".join(["", *sentences])
