"""`python -m bench.judging`: judges on simulated traffic; with `--write`, into docs/judge.md."""

import argparse
import platform
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

from bench.judging import cost, page, tables
from bench.judging.lives import Outcome, live
from bench.judging.scenarios import CHANGED, HEALTHY, LATER, RISEN, SCENARIOS, Scenario

PAGE = Path(__file__).parents[2] / "docs" / "judge.md"
SEED = 1
PROCESSES = 2


def main() -> int:
    options = _parser().parse_args()
    if options.quick and options.write:
        _parser().error("--quick is a smoke: its figures are not written")
    began = time.monotonic()
    chosen = {name: _sized(each, quick=options.quick) for name, each in SCENARIOS.items()}
    blocks = {
        "rates": rates(chosen, options.seed),
        "costs": costs(options.seed, quick=options.quick),
    }
    print("\n\n".join(blocks.values()))
    print(f"\ntook {time.monotonic() - began:.0f} s")
    if options.write:
        page.fill(PAGE, blocks)
        print(f"{PAGE} has these figures now")
    return 0


def rates(scenarios: dict[str, Scenario], seed: int) -> str:
    """The block of rates and delays: the same for a seed on every machine."""
    with ProcessPoolExecutor(PROCESSES) as pool:
        found = pool.map(_told, scenarios.items(), repeat(seed))
        outcomes = dict(zip(scenarios, found, strict=True))

    def of(names: Iterable[str]) -> dict[str, Scenario]:
        return {name: scenarios[name] for name in names}

    shown = (
        tables.false_rollbacks(outcomes, of(HEALTHY)),
        tables.detection(outcomes, of(CHANGED)),
        tables.late_detection(outcomes, of(LATER), "after 2 h"),
        tables.late_detection(outcomes, of(RISEN), "with a greater weight"),
    )
    return page.block(shown, tables.goals(outcomes), f"Seed {seed}.")


def costs(seed: int, *, quick: bool) -> str:
    """The block of times: those of this machine."""
    found = cost.measure(seed, gates=20, long=300) if quick else cost.measure(seed)
    about = f"Python {platform.python_version()}, {platform.machine()}."
    return page.block((tables.costs(found),), tables.cost_goals(found), about)


def _told(named: tuple[str, Scenario], seed: int) -> dict[str, Outcome]:
    name, scenario = named
    began = time.monotonic()
    outcomes = dict(live(scenario, seed))
    print(f"   {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return outcomes


def _sized(scenario: Scenario, *, quick: bool) -> Scenario:
    return scenario.smoke() if quick else scenario


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.judging", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke: few lives, short ones")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/judge.md")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser


if __name__ == "__main__":
    sys.exit(main())
