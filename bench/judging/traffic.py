"""Simulated counts of both variants: many lives of one scenario side by side.

Each life has traffic of its own. What drives the base rate (drift, outages) is shared by candidate
and stable, as a database behind both would be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from domain.evidence.mixtures import Floats

LOOK_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was counted since the look before, of shape (lives,); `number` is from 0."""

    number: int
    weight: int
    candidate: Floats
    candidate_bad: Floats
    stable: Floats
    stable_bad: Floats

    def of(self, lives: np.ndarray) -> "Look":
        """The same for some of the lives."""
        return Look(
            number=self.number,
            weight=self.weight,
            candidate=self.candidate[lives],
            candidate_bad=self.candidate_bad[lives],
            stable=self.stable[lives],
            stable_bad=self.stable_bad[lives],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """Each pod's bad fraction wanders about the version's own, slowly (AR(1) of its logarithm)."""

    candidate: int = 2
    stable: int = 8
    sd: float = 0.0
    persistence: float = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests per second of both variants, the candidate's weights, and who fails how often.

    `weights` (percent) and the base rate from `base` to `base_at_end` (geometrically) spread evenly
    over all looks. `base_waves` is the factor of a slow wave up and down. From look `changed_at` on
    the candidate fails at `changed_to` instead of the base rate times 1. Bad requests come in
    bursts of a geometric number, `burst` at the mean.
    """

    rate: float = 100.0
    weights: tuple[int, ...] = (5,)
    base: float = 0.01
    base_at_end: float | None = None
    base_waves: float = 1.0
    outages: int = 0
    outage_rate: float = 0.2
    burst: float = 1.0
    pods: Pods = Pods()
    changed_at: int = 0
    changed_to: float | None = None

    def looks(self, number: int, lives: int, rng: np.random.Generator) -> Iterator[Look]:
        base = self._base(number, rng)
        pods = self._factors(lives, rng)
        for k in range(number):
            weight = self.weights[k * len(self.weights) // number]
            n_c = rng.poisson(LOOK_SECONDS * self.rate * weight / 100, lives)
            n_b = rng.poisson(LOOK_SECONDS * self.rate * (100 - weight) / 100, lives)
            is_changed = self.changed_to is not None and k >= self.changed_at
            p_c = self.changed_to if is_changed and self.changed_to is not None else base[k]
            factors = next(pods)
            own = factors[:, : self.pods.candidate].mean(axis=1)
            other = factors[:, self.pods.candidate :].mean(axis=1)
            yield Look(
                number=k,
                weight=weight,
                candidate=n_c.astype(np.float64),
                candidate_bad=self._bad(n_c, p_c * own, rng),
                stable=n_b.astype(np.float64),
                stable_bad=self._bad(n_b, base[k] * other, rng),
            )

    def stable_pods(
        self, number: int, lives: int, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Requests and bad ones of stable's pods before all looks, of shape (lives, pods, number).

        They get equal shares of the traffic, and each burst comes to one of them.
        """
        pods = self.pods.stable
        shape = (lives, pods, number)
        requests = rng.poisson(LOOK_SECONDS * self.rate / pods, shape)
        wandering = islice(self._factors(lives, rng), number)
        factors = np.stack([each[:, -pods:] for each in wandering], axis=-1)
        return requests.astype(np.float64), self._bad(requests, self.base * factors, rng)

    def _base(self, number: int, rng: np.random.Generator) -> Floats:
        """The base rate at each look, the same in all lives."""
        progress = np.arange(number) / number
        end = self.base if self.base_at_end is None else self.base_at_end
        base = self.base * (end / self.base) ** progress
        base = base * self.base_waves ** np.sin(6 * np.pi * progress)
        if self.outages:
            for start in rng.integers(0, number, self.outages):
                base[start : start + 6] = self.outage_rate
        return np.asarray(np.minimum(base, 1.0))

    def _factors(self, lives: int, rng: np.random.Generator) -> Iterator[Floats]:
        """What each pod's bad fraction is multiplied by: the candidate's pods, then stable's."""
        pods, innovation = self.pods, self.pods.sd * np.sqrt(1 - self.pods.persistence**2)
        shape = (lives, pods.candidate + pods.stable)
        logs = rng.normal(0, pods.sd, shape) if pods.sd else np.zeros(shape)
        while True:
            yield np.asarray(np.exp(logs - pods.sd**2 / 2))
            if pods.sd:
                logs = pods.persistence * logs + rng.normal(0, innovation, shape)

    def _bad(
        self, requests: np.ndarray, fraction: Floats | float, rng: np.random.Generator
    ) -> Floats:
        fraction = np.minimum(fraction, 1.0)
        if self.burst == 1:
            return rng.binomial(requests, fraction).astype(np.float64)
        bursts = rng.poisson(requests * fraction / self.burst)
        more = rng.negative_binomial(np.maximum(bursts, 1), 1 / self.burst)
        return np.asarray(np.minimum(bursts + np.where(bursts, more, 0), requests), np.float64)
