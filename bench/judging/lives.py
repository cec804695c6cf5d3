"""Lives of a scenario under all rules, and what became of them."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.judging.peeking import PeekingZTest
from bench.judging.product import ProductJudge
from bench.judging.ranks import RankJudge
from bench.judging.rules import Rule
from bench.judging.scenarios import HOUR, Scenario
from bench.judging.threshold import FixedThreshold
from bench.judging.traffic import LOOK_SECONDS
from domain.evidence.mixtures import Floats
from domain.evidence.overdispersion import overdispersion

PRODUCT = "Tidegate"
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """At which look each life was rolled back by one rule; NEVER where it was not."""

    looks: np.ndarray
    changed_at: int = 0

    @property
    def rolled_back(self) -> float:
        """The share of lives that were, at any time."""
        return float(np.mean(self.looks != NEVER))

    @property
    def before(self) -> float:
        """The share that was rolled back before anything had changed."""
        return float(np.mean(self.looks < self.changed_at))

    def seconds(self) -> Floats:
        """From the change to the rollback, infinite where there was none, ascending.

        Of lives that were rolled back before, nothing is said.
        """
        there = self.looks[self.looks >= self.changed_at]
        passed = (np.where(there == NEVER, 0, there) - self.changed_at + 1.0) * LOOK_SECONDS
        return np.sort(np.where(there == NEVER, np.inf, passed))

    def median(self) -> float:
        """Seconds; infinite when fewer than half were found, nan when no life was left to find."""
        seconds = self.seconds()
        return float(seconds[(len(seconds) - 1) // 2]) if len(seconds) else math.nan

    def median_error(self) -> float:
        """The median's standard error: half of what lies between the ranks that are one off.

        nan where that is not known, infinite where the upper one of them was never found.
        """
        seconds = self.seconds()
        middle, off = len(seconds) / 2, np.sqrt(len(seconds)) / 2
        low, high = int(middle - off), min(int(middle + off), len(seconds) - 1)
        if not len(seconds) or math.isinf(seconds[low]):
            return math.nan
        return float(seconds[high] - seconds[low]) / 2

    def found_within(self, seconds: float) -> float:
        """The share of the lives that were there at the change."""
        waited = self.seconds()
        return float(np.mean(waited <= seconds)) if len(waited) else math.nan


def learnt_phi(scenario: Scenario, rng: np.random.Generator) -> Floats:
    """What each life learns in an hour of stable's pods; 1 where they say too little."""
    requests, bad = scenario.traffic.stable_pods(HOUR, scenario.lives, rng)
    found = (overdispersion(*life) for life in zip(requests, bad, strict=True))
    return np.array([phi or 1.0 for phi in found])


def rules(scenario: Scenario, phi: float | Floats) -> Mapping[str, Rule]:
    """A fresh rule of each kind, for all lives of the scenario."""
    lives, limit = scenario.lives, scenario.limit
    return {
        PRODUCT: ProductJudge(scenario.gate, lives, phi=phi),
        "Flagger": FixedThreshold(limit, allowed=4, lives=lives),
        "Argo 0": FixedThreshold(limit, allowed=0, lives=lives),
        "Argo 3": FixedThreshold(limit, allowed=3, lives=lives),
        "Kayenta": RankJudge(lives),
        "z-test": PeekingZTest(lives),
    }


RULES = (PRODUCT, "Flagger", "Argo 0", "Argo 3", "Kayenta", "z-test")


def live(scenario: Scenario, seed: int) -> Mapping[str, Outcome]:
    """Every rule over the same traffic. The same seed, the same outcomes."""
    digest = hashlib.sha256((scenario.stream or scenario.title).encode()).digest()
    source = [seed, int.from_bytes(digest[:4], "big")]
    rng, before = np.random.default_rng(source), np.random.default_rng([*source, 1])
    phi = learnt_phi(scenario, before) if scenario.phi is None else scenario.phi
    judges = rules(scenario, phi)
    ended = {name: np.full(scenario.lives, NEVER) for name in judges}
    for seen in scenario.traffic.looks(scenario.looks, scenario.lives, rng):
        for name, judge in judges.items():
            new = judge.look(seen) & (ended[name] == NEVER)
            ended[name][new] = seen.number
        if all((looks != NEVER).all() for looks in ended.values()):
            break
    changed_at = scenario.traffic.changed_at
    return {name: Outcome(looks=looks, changed_at=changed_at) for name, looks in ended.items()}
