from dataclasses import replace

import numpy as np
import pytest

from domain.evidence.e_bh import standing, standing_among
from domain.verdicts import Evidence, Status, Verdict


def of(fail, *, gate="errors", variant="", alpha=0.05, family=1):
    evidence = Evidence(
        fail=fail, fail_needed=20, pass_=1, pass_needed=20, alpha=alpha, gates_in_family=family
    )
    return Verdict(
        gate=gate, status=Status.UNDECIDED, reason="", variant=variant, evidence=evidence
    )


@pytest.mark.parametrize(
    ("e_values", "stands"),
    [
        ([], []),
        ([20], [True]),
        ([19.9], [False]),
        ([40, 39], [True, True]),
        ([39, 1], [False, False]),
        ([1, 40], [False, True]),
        ([20, 20], [True, True]),
        ([26, 27, 1, 28], [False] * 4),
        ([27, 27, 1, 27], [True, True, False, True]),
    ],
)
def test_the_largest_k_whose_smallest_reaches_its_line_stand(e_values, stands):
    assert standing(e_values, alpha=0.05) == tuple(stands)


def test_claims_that_were_looked_at_and_are_not_shown_raise_the_line():
    assert standing([30], alpha=0.05, hypotheses=2) == (False,)
    assert standing([40], alpha=0.05, hypotheses=2) == (True,)


def test_more_evidence_for_one_never_takes_another_away():
    rng = np.random.default_rng(21)
    for _ in range(300):
        e = list(np.exp(rng.normal(2, 2, size=6)))
        before = standing(e, alpha=0.1)
        e[int(rng.integers(6))] *= 10
        after = standing(e, alpha=0.1)
        assert all(now for was, now in zip(before, after, strict=True) if was)


def test_false_ones_are_seldom_more_than_alpha_of_those_that_stand_however_they_depend():
    # Ten nulls that share one e-value (the worst dependence), beside two real claims.
    rng = np.random.default_rng(22)
    parts = []
    for _ in range(4000):
        null = 12.0 if rng.random() < 1 / 12 else 0.0  # its mean is 1
        found = standing([null] * 10 + [500.0, 400.0], alpha=0.5)
        false = sum(found[:10])
        parts.append(false / max(1, sum(found)))
    assert 0 < np.mean(parts) <= 0.5 * 10 / 12 + 0.02


@pytest.mark.parametrize(("e", "alpha"), [([1.0], 0), ([1.0], 1), ([-1.0], 0.05)])
def test_what_is_no_e_value_or_no_alpha_is_refused(e, alpha):
    with pytest.raises(ValueError, match=r"alpha must|never negative"):
        standing(e, alpha=alpha)


def test_every_rule_of_every_arm_is_a_claim():
    # One arm with a family of two needs 40:1; two such arms need 80:1.
    alone = [of(45, family=2), of(1, gate="slow", family=2)]
    assert standing_among(alone) == (True, False)
    arms = [of(45, variant="b", family=2), of(1, variant="c", family=2)]
    assert standing_among(arms) == (False, False)
    assert standing_among([of(45, variant="b", family=2), of(45, variant="c", family=2)]) == (
        True,
        True,
    )


def test_a_dry_run_beside_the_family_is_a_claim_as_well():
    # A family of one, and a gate that only shows what it would do, with two rules.
    dry = of(1, gate="dry")
    assert dry.evidence is not None
    dry = replace(dry, evidence=replace(dry.evidence, rules=2))
    assert standing_among([of(59), dry]) == (False, False)
    assert standing_among([of(60), dry]) == (True, False)


def test_a_verdict_without_evidence_neither_stands_nor_falls():
    silent = Verdict(gate="up", status=Status.UNAVAILABLE, reason="")
    assert standing_among([silent, of(20)]) == (None, True)
    assert standing_among([silent]) == (None,)
    assert standing_among([]) == ()


def test_the_strictest_alpha_holds_for_all():
    assert standing_among([of(20), of(20, gate="slow", alpha=0.01)]) == (False, False)
