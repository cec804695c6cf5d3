"""The division of traffic: stable absorbs, one stable at all times, nothing changed by a refusal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.division import (
    FORMER_KEPT,
    MOST_VARIANTS,
    Newcomer,
    added,
    deleted,
    former_stables,
    named,
    promoted,
    renamed,
    require_canary_weight,
    retired,
    rolled_back,
    was_stable_lately,
    weighed,
)
from domain.errors import AlreadyExists, Conflict, InvalidTraffic, NotFound
from domain.operations import slots_of
from domain.registry import Role, TrafficVariant, Variants, VariantStatus

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
WINDOW = timedelta(hours=1)
CONFIG = uuid4()


def newcomer(version="v2"):
    return Newcomer(
        id=uuid4(), version_id=VERSIONS[version], version_name=version, workload=f"chat-{version}"
    )


VERSIONS = {f"v{i}": uuid4() for i in range(1, 30)}


def stable(name="stable"):
    return TrafficVariant(
        id=uuid4(),
        config_id=CONFIG,
        name=name,
        role=Role.STABLE,
        model_version_id=VERSIONS["v1"],
        model_version_name="v1",
        workload="chat-v1",
        slot=0,
        weight=100,
        status=VariantStatus.ACTIVE,
        joined_at=NOON,
        created_at=NOON,
        updated_at=NOON,
    )


def divided(**weights):
    """stable, and a variant by name for each weight; the first has version v2, and so on."""
    variants: Variants = (stable(),)
    for i, (name, weight) in enumerate(weights.items(), start=2):
        variants = added(variants, newcomer(f"v{i}"), name=name, weight=weight, now=NOON)
    return variants


def weights(variants):
    return {v.name: v.weight for v in variants}


def roles(variants):
    return {v.name: v.role for v in variants}


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        ({"b": 10}, {"b": 30}, {"stable": 70, "b": 30}),
        ({"b": 30}, {"b": 10}, {"stable": 90, "b": 10}),
        ({"b": 30}, {"b": 0}, {"stable": 100, "b": 0}),
        ({"b": 30}, {"b": 100}, {"stable": 0, "b": 100}),
        ({"b": 30, "c": 20}, {"b": 40}, {"stable": 40, "b": 40, "c": 20}),
        ({"b": 30, "c": 20}, {"b": 20, "c": 30}, {"stable": 50, "b": 20, "c": 30}),
        ({"b": 30}, {"stable": 60, "b": 40}, {"stable": 60, "b": 40}),
        ({"b": 30}, {"stable": 70}, {"stable": 70, "b": 30}),
        ({"b": 30}, {}, {"stable": 70, "b": 30}),
    ],
)
def test_weights_are_given_and_stable_takes_the_rest(before, asked, after):
    assert weights(weighed(divided(**before), asked, now=NOON)) == after


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"b": 81}, "weights"),
        ({"b": 60, "c": 41}, "weights"),
        ({"stable": 49}, "weights"),
        ({"stable": 51, "b": 30, "c": 20}, "weights"),
        ({"b": -1}, "weights.b"),
        ({"b": 101}, "weights.b"),
        ({"stable": 101}, "weights.stable"),
        ({"d": 0}, "weights.d"),
    ],
)
def test_weights_that_break_a_rule_are_named(asked, field):
    with pytest.raises(InvalidTraffic) as caught:
        weighed(divided(b=30, c=20), asked, now=NOON)
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.mark.parametrize("weight", range(101))
def test_a_canary_begins_with_5_to_50(weight):
    if 5 <= weight <= 50:
        require_canary_weight(weight)
    else:
        with pytest.raises(InvalidTraffic, match="initial_weight"):
            require_canary_weight(weight)


@pytest.mark.parametrize("name", ["", "B", "-b", "b-", "_b", "a b", "a.b", "ä", "x" * 64, "b\n"])
def test_a_name_that_is_none_is_refused_where_one_is_given(name):
    variants = divided(b=10)
    with pytest.raises(InvalidTraffic, match="variant_name"):
        added(variants, newcomer("v9"), name=name, weight=0, now=NOON)
    with pytest.raises(InvalidTraffic, match="variant_name"):
        renamed(variants, "b", name, now=NOON)


def test_a_route_has_room_for_so_many_and_no_more():
    names = {f"b{i}": 0 for i in range(2, MOST_VARIANTS + 1)}
    full = divided(**names)
    with pytest.raises(InvalidTraffic, match="at most 16"):
        added(full, newcomer("v25"), name="one-more", weight=0, now=NOON)


def test_who_has_left_frees_a_slot_for_the_next():
    variants = deleted(divided(b=10, c=10), "b", now=NOON)
    variants = added(variants, newcomer("v9"), name="d", weight=5, now=NOON)
    assert {v.name: v.slot for v in variants} == {"stable": 0, "c": 2, "d": 1}


def test_stable_keeps_its_own_name_or_hands_on_the_one_of_its_role():
    moved = promoted(divided(b=10), "b", now=NOON, window=WINDOW)
    assert roles(moved) == {"stable": Role.STABLE, "old-stable-1": Role.RETIRING}
    blue = renamed(divided(green=10), "stable", "blue", now=NOON)
    kept = promoted(blue, "green", now=NOON, window=WINDOW)
    assert roles(kept) == {"green": Role.STABLE, "blue": Role.RETIRING}


def test_a_rollback_goes_to_stable_then_to_the_one_before_it_then_nowhere():
    variants = promoted(divided(b=10, c=20), "b", now=NOON, window=WINDOW)
    assert weights(variants) == {"old-stable-1": 0, "stable": 100, "c": 0}
    shared = weighed(variants, {"c": 40}, now=NOON)
    home = rolled_back(shared, now=NOON, window=WINDOW)
    assert named(home, "stable").model_version_name == "v2"
    assert weights(home) == weights(variants)
    back = rolled_back(home, now=NOON, window=WINDOW)
    assert named(back, "stable").model_version_name == "v1"
    with pytest.raises(Conflict, match="no former stable"):
        rolled_back((stable(),), now=NOON, window=WINDOW)


def test_a_rollback_goes_to_the_newest_former_stable():
    variants = divided(b=10, c=20)
    variants = promoted(variants, "b", now=NOON, window=WINDOW)
    variants = weighed(variants, {"c": 10}, now=NOON)
    variants = promoted(variants, "c", now=NOON + WINDOW / 2, window=WINDOW)
    back = rolled_back(variants, now=NOON + WINDOW, window=WINDOW)
    assert named(back, "stable").model_version_name == "v2"


def test_who_is_kept_is_retired_when_its_time_has_come_and_not_before():
    variants = promoted(divided(b=10), "b", now=NOON, window=WINDOW)
    early = retired(variants, now=NOON + WINDOW - timedelta(microseconds=1))
    assert early == variants
    former = named(retired(variants, now=NOON + WINDOW), "old-stable-1")
    assert (former.status, former.retire_at) == (VariantStatus.RETIRED, None)
    assert not former.holds_slot


def test_who_is_given_traffic_again_is_no_longer_on_its_way_out():
    variants = promoted(divided(b=10), "b", now=NOON, window=WINDOW)
    variants = weighed(variants, {"old-stable-1": 5}, now=NOON)
    kept = named(variants, "old-stable-1")
    assert (kept.role, kept.retire_at) == (Role.CANDIDATE, None)
    assert retired(variants, now=NOON + WINDOW * 2) == variants


def test_who_had_left_comes_back_in_a_slot_of_its_own():
    variants = promoted(divided(b=10), "b", now=NOON, window=WINDOW)
    variants = retired(variants, now=NOON + WINDOW)
    variants = added(variants, newcomer("v3"), name="c", weight=5, now=NOON + WINDOW)
    back = weighed(variants, {"old-stable-1": 5}, now=NOON + WINDOW * 2)
    assert {v.name: v.slot for v in back} == {"c": 0, "stable": 1, "old-stable-1": 2}
    assert named(back, "old-stable-1").joined_at == NOON + WINDOW * 2


def test_only_so_many_former_stables_are_remembered():
    variants: Variants = (stable(),)
    now = NOON
    for i in range(2, FORMER_KEPT + 6):
        now += WINDOW * 2
        variants = retired(variants, now=now)
        variants = added(variants, newcomer(f"v{i}"), name="b", weight=10, now=now)
        variants = promoted(variants, "b", now=now, window=WINDOW)
    former = former_stables(variants)
    assert [v.model_version_name for v in former if not v.holds_slot] == [
        "v8",
        "v7",
        "v6",
        "v5",
        "v4",
    ]


def is_good(variants, version, at):
    return was_stable_lately(variants, VERSIONS[version], now=at, window=WINDOW)


def test_a_version_that_a_newcomer_superseded_is_good_for_the_window():
    variants = promoted(divided(b=10), "b", now=NOON, window=WINDOW)
    gone = retired(variants, now=NOON + WINDOW)
    assert named(gone, "old-stable-1").superseded_at == NOON
    assert is_good(variants, "v1", NOON)
    assert is_good(gone, "v1", NOON + WINDOW)
    assert not is_good(gone, "v1", NOON + WINDOW + timedelta(seconds=1))


def test_the_window_does_not_begin_anew_when_a_version_is_retired():
    variants = promoted(divided(b=10), "b", now=NOON, window=WINDOW)
    late = retired(variants, now=NOON + 5 * WINDOW)
    assert is_good(variants, "v1", NOON + 4 * WINDOW)  # kept as long as nobody has retired it
    assert not is_good(late, "v1", NOON + 5 * WINDOW)


def test_a_version_that_was_gone_back_from_is_not_good():
    """To skip its steps would give all traffic at once to what has just failed."""
    variants = promoted(divided(b=10), "b", now=NOON, window=WINDOW)
    back = rolled_back(variants, now=NOON, window=WINDOW)
    assert {v.superseded_at for v in back} == {None}
    for version in ("v1", "v2", "v9"):
        assert not is_good(back, version, NOON)


def test_who_gives_way_to_a_former_stable_was_gone_back_from():
    variants = promoted(divided(b=10), "b", now=NOON, window=WINDOW)
    again = weighed(variants, {"old-stable-1": 50}, now=NOON)
    back = promoted(again, "old-stable-1", now=NOON, window=WINDOW)
    assert not is_good(back, "v2", NOON)
    onward = added(back, newcomer("v3"), name="c", weight=10, now=NOON)
    assert is_good(promoted(onward, "c", now=NOON, window=WINDOW), "v1", NOON)


class Division(RuleBasedStateMachine):
    """Any changes in any order."""

    def __init__(self):
        super().__init__()
        self.variants = (stable(),)
        self.now = NOON

    def change(self, rule_of, *arguments, **more):
        """Apply the rule. A refusal is fine, and changes nothing."""
        before = self.variants
        copied = tuple(replace(v) for v in before)
        self.now += timedelta(minutes=7)
        try:
            self.variants = rule_of(before, *arguments, now=self.now, **more)
        except (InvalidTraffic, AlreadyExists, Conflict, NotFound):
            assert self.variants == copied
        assert before == copied

    def name(self, data):
        return data.draw(st.sampled_from([v.name for v in self.variants] + ["nobody"]))

    @rule(
        version=st.sampled_from(sorted(VERSIONS)[:8]),
        name=st.sampled_from(["canary", "b", "green", "stable", "old-stable-1"]),
        weight=st.integers(-1, 101),
    )
    def add(self, version, name, weight):
        self.change(added, newcomer(version), name=name, weight=weight)

    @rule(data=st.data())
    def weigh(self, data):
        names = [v.name for v in self.variants]
        asked = st.dictionaries(st.sampled_from(names), st.integers(-1, 101), max_size=3)
        self.change(weighed, data.draw(asked))

    @rule(data=st.data(), new=st.sampled_from(["blue", "green", "stable", "No"]))
    def rename(self, data, new):
        self.change(renamed, self.name(data), new)

    @rule(data=st.data())
    def delete(self, data):
        self.change(deleted, self.name(data))

    @rule(data=st.data())
    def promote(self, data):
        self.change(promoted, self.name(data), window=WINDOW)

    @precondition(lambda self: any(v.status is VariantStatus.ACTIVE for v in self.variants[1:]))
    @rule(data=st.data())
    def promote_an_active_one(self, data):
        active = [v.name for v in self.variants if v.status is VariantStatus.ACTIVE]
        self.change(promoted, data.draw(st.sampled_from(active)), window=WINDOW)

    @rule()
    def roll_back(self):
        self.change(rolled_back, window=WINDOW)

    @rule(waited=st.integers(0, 90))
    def retire(self, waited):
        self.now += timedelta(minutes=waited)
        self.change(retired)

    @invariant()
    def active_weights_sum_to_100(self):
        assert sum(v.weight for v in self.variants) == 100
        for variant in self.variants:
            if variant.status is not VariantStatus.ACTIVE:
                assert variant.weight == 0
            elif variant.role is not Role.STABLE:
                assert variant.weight > 0

    @invariant()
    def one_is_stable_and_never_leaves(self):
        (one,) = [v for v in self.variants if v.role is Role.STABLE]
        assert one.status is VariantStatus.ACTIVE
        assert one.retire_at is None

    @invariant()
    def nobody_shares_a_name_a_version_or_a_slot(self):
        holders = [v for v in self.variants if v.holds_slot]
        for shared in (
            [v.name for v in self.variants],
            [v.id for v in self.variants],
            [v.model_version_id for v in self.variants],
            [v.slot for v in holders],
        ):
            assert len(set(shared)) == len(shared)
        assert all(0 <= v.slot < MOST_VARIANTS for v in holders)

    @invariant()
    def only_who_stands_by_is_about_to_retire(self):
        for variant in self.variants:
            if variant.retire_at is not None:
                assert variant.status is VariantStatus.INACTIVE

    @invariant()
    def stable_is_superseded_by_nobody(self):
        (one,) = [v for v in self.variants if v.role is Role.STABLE]
        assert one.superseded_at is None
        assert not was_stable_lately(
            self.variants, one.model_version_id, now=self.now, window=WINDOW
        )

    @invariant()
    def a_route_can_be_laid_out(self):
        assert sum(slot.weight for slot in slots_of(self.variants)) == 100


TestDivision = Division.TestCase
TestDivision.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
