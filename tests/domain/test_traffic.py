"""Slots: fixed positions, whole weights, differences named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidSpec
from domain.traffic import Bearer, Slot, compose, drift_between, free_slot


def bearer(slot: int, weight: int) -> Bearer:
    return Bearer(slot=slot, workload=f"w{slot}", weight=weight)


@given(st.sets(st.integers(0, 20)))
def test_a_free_slot_is_the_lowest_that_nobody_holds(taken):
    free = free_slot(taken)

    assert free not in taken
    assert set(range(free)) <= taken


@pytest.mark.parametrize("weights", [(100, 1), (99, 0), (101, -1), (50, 49)])
def test_weights_that_do_not_sum_to_100_are_refused(weights):
    bearers = [bearer(slot, weight) for slot, weight in enumerate(weights)]
    with pytest.raises(InvalidSpec, match="sum to 100"):
        compose(bearers, "w0")


def test_a_gap_holds_the_stable_workload_at_weight_0():
    slots = compose([bearer(2, 100)], "w2")

    assert slots == (
        Slot(workload="w2", weight=0),
        Slot(workload="w2", weight=0),
        Slot(workload="w2", weight=100),
    )


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 100))
def test_a_variant_keeps_its_slot_whoever_joins_or_leaves(stable, candidate, weight):
    if stable == candidate:
        return
    both = compose([bearer(stable, 100 - weight), bearer(candidate, weight)], f"w{stable}")
    alone = compose([bearer(stable, 100)], f"w{stable}")

    assert both[stable].workload == alone[stable].workload == f"w{stable}"
    assert sum(slot.weight for slot in both) == sum(slot.weight for slot in alone) == 100


def test_drift_names_the_field_both_values_and_who_did_it():
    written = compose([bearer(0, 90), bearer(1, 10)], "w0")
    found = compose([bearer(0, 40), bearer(1, 60)], "w0")

    assert str(drift_between(written, found, "kubectl-edit")) == (
        "backendRefs[0] is w0 40 %, was written as w0 90 %; changed by kubectl-edit"
    )
    assert drift_between(written, written) is None
    assert "changed by an earlier run" in str(drift_between(written, found))
    shorter = drift_between(written, written[:1])
    assert shorter is not None
    assert shorter.field == "backendRefs"
