"""The outcomes as tables: one row a scenario, one column a rule."""

import math
from collections.abc import Mapping

from bench.judging.cost import SHORT, Cost
from bench.judging.lives import PRODUCT, RULES, Outcome
from bench.judging.scenarios import Scenario
from bench.report import Goal, Table

Outcomes = Mapping[str, Mapping[str, Outcome]]
FEWEST_LIVES = 20  # for a median
_LONGEST = 1e9  # seconds: at any time


def share(part: float, lives: int) -> str:
    """In percent, with its standard error; without one where all lives did the same."""
    if part in (0, 1):
        return f"{100 * part:.0f}"
    error = math.sqrt(part * (1 - part) / lives)
    digits = 1 if part < 0.1 else 0
    return f"{100 * part:.{digits}f} ± {100 * error:.1f}"


def delay(outcome: Outcome) -> str:
    """The median in seconds with its standard error, and what part was found if not all was."""
    seconds = outcome.seconds()
    if len(seconds) < FEWEST_LIVES:
        return "none left"
    found = outcome.found_within(_LONGEST)
    part = "" if found == 1 else f", {100 * found:.0f} %"
    median, error = outcome.median(), outcome.median_error()
    if not math.isfinite(median):
        return f"never{part}"
    return f"{median:,.0f}" + (f" ± {error:.0f}" if math.isfinite(error) else "") + part


def false_rollbacks(outcomes: Outcomes, scenarios: Mapping[str, Scenario]) -> Table:
    rows = [
        (
            each.title,
            f"{each.looks:,}",
            str(each.lives),
            *(share(outcomes[name][rule].rolled_back, each.lives) for rule in RULES),
        )
        for name, each in scenarios.items()
    ]
    return Table(
        caption="Rolled back although nothing is wrong, in % of lives:",
        head=("traffic", "looks", "lives", *RULES),
        rows=tuple(rows),
    )


def detection(outcomes: Outcomes, scenarios: Mapping[str, Scenario]) -> Table:
    rows = [
        (each.title, str(each.lives), *(delay(outcomes[name][rule]) for rule in RULES))
        for name, each in scenarios.items()
    ]
    return Table(
        caption="Rolled back after so many seconds (median):",
        head=("candidate", "lives", *RULES),
        rows=tuple(rows),
    )


def late_detection(outcomes: Outcomes, scenarios: Mapping[str, Scenario], change: str) -> Table:
    """As `detection`, with how many did not live to see the change."""
    table = detection(outcomes, scenarios)
    lives = sum(each.lives for each in scenarios.values())
    before = [
        sum(outcomes[name][rule].before * each.lives for name, each in scenarios.items()) / lives
        for rule in RULES
    ]
    row = ("before it, in %", str(lives), *(share(each, lives) for each in before))
    return Table(
        caption=f"Rolled back so many seconds after a change that comes {change} (median):",
        head=table.head,
        rows=(row, *table.rows),
    )


def costs(cost: Cost) -> Table:
    return Table(
        caption="What the judging costs on the machine of this run:",
        head=("what", "found"),
        rows=(
            ("taking an interval in", f"{1000 * cost.interval:.2f} ms"),
            (f"a verdict after {SHORT} intervals", f"{1000 * cost.verdict:.2f} ms"),
            (f"a verdict after {cost.many:,} intervals", f"{1000 * cost.late_verdict:.2f} ms"),
            ("1,000 gates, both every 5 s", f"{100 * cost.core:.1f} % of a core"),
        ),
    )


def goals(outcomes: Outcomes) -> tuple[Goal, ...]:
    """Those on rates and delays, for the product's own judge."""
    mine = {name: each[PRODUCT] for name, each in outcomes.items()}
    tenfold = mine["10x"].found_within(60)
    late = {
        times: mine[f"{times}-late"].median() / mine[times].median()
        for times in ("2x", "3x", "10x")
    }
    return (
        _at_most_5_percent("equal canary, 10,000 looks", mine["equal"]),
        _at_most_5_percent("Simpson's ramp", mine["ramp"]),
        Goal(
            promise="10x at 100 requests/s and 5 % found within 60 s in 95 % of lives",
            found=f"{100 * tenfold:.1f} %",
            met=tenfold >= 0.95,
        ),
        Goal(
            promise="2x found within 360 s at the median",
            found=f"{mine['2x'].median():.0f} s",
            met=mine["2x"].median() <= 360,
        ),
        Goal(
            promise="late ones found within 1.5 times the time of early ones",
            found=", ".join(f"{times}: {ratio:.1f}" for times, ratio in late.items()),
            met=all(ratio <= 1.5 for ratio in late.values()),
        ),
    )


def cost_goals(cost: Cost) -> tuple[Goal, ...]:
    worst = max(cost.verdict, cost.late_verdict)
    return (
        Goal(promise="a verdict under 1 ms", found=f"{1000 * worst:.2f} ms", met=worst < 1e-3),
        Goal(
            promise="1,000 gates at 5 s on a tenth of a core",
            found=f"{100 * cost.core:.1f} %",
            met=cost.core <= 0.1,
        ),
    )


def _at_most_5_percent(where: str, outcome: Outcome) -> Goal:
    return Goal(
        promise=f"at most 5 % false rollbacks: {where}",
        found=f"{share(outcome.rolled_back, len(outcome.looks))} %",
        met=outcome.rolled_back <= 0.05,
    )
