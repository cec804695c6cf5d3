"""Sticky splits: every user has one arm, and keeps it when weights move as far as that can be."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.buckets import BUCKETS, assign, bucket_matches, bucket_pattern, cookie_match
from domain.errors import InvalidSpec
from domain.traffic import MatchKind
from tests.domain.evidence.scenes import unhurried

TAILS = [f"{bucket:02x}" for bucket in range(BUCKETS)]
# Patterns use nothing in which RE2 and Python differ: classes, alternatives, groups, (?i), \s.


@st.composite
def weightings(draw, arms=("a", "b", "c", "d")):
    cuts = sorted(
        draw(st.lists(st.integers(0, 100), min_size=len(arms) - 1, max_size=len(arms) - 1))
    )
    return dict(
        zip(arms, (b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)), strict=True)
    )


def arms_of(tail, matches):
    return [
        arm for arm, (match,) in matches.items() if re.fullmatch(match.value, f"d41d8cd9{tail}")
    ]


@settings(unhurried, max_examples=25)
@given(weights=weightings(), later=weightings())
def test_every_tail_belongs_to_exactly_one_arm_before_and_after_a_move(weights, later):
    first = assign(weights)
    for owners in (first, assign(later, before=first)):
        matches = bucket_matches("x-user", owners)
        for bucket, tail in enumerate(TAILS):
            assert arms_of(tail, matches) == [owners[bucket]]


@unhurried
@given(weights=weightings(), later=weightings())
def test_shares_are_within_one_bucket_of_the_weights(weights, later):
    first = assign(weights)
    for owners, wanted in ((first, weights), (assign(later, before=first), later)):
        assert len(owners) == BUCKETS
        sizes = Counter(owners)
        for arm, weight in wanted.items():
            assert abs(sizes[arm] / BUCKETS - weight / 100) < 1 / BUCKETS


@unhurried
@given(weights=weightings(), later=weightings())
def test_no_more_buckets_move_than_must(weights, later):
    before = assign(weights)
    after = assign(later, before=before)
    moved = sum(a != b for a, b in zip(before, after, strict=True))
    sizes, wanted = Counter(before), Counter(after)
    assert moved == sum(max(0, sizes[arm] - wanted[arm]) for arm in weights)
    assert assign(later, before=after) == after


@unhurried
@given(weights=weightings())
def test_at_first_each_arm_has_one_range_in_the_order_of_the_weights(weights):
    owners = assign(weights)
    assert list(owners) == sorted(owners, key=list(weights).index)


def test_an_arm_that_left_gives_its_buckets_to_those_that_grow():
    before = assign({"a": 50, "b": 25, "c": 25})
    after = assign({"a": 75, "c": 25}, before=before)
    assert Counter(after) == {"a": 192, "c": 64}
    assert all(new == old for old, new in zip(before, after, strict=True) if old != "b")


@pytest.mark.parametrize(
    ("buckets", "pattern"),
    [
        (range(256), "(?i).*(?:[0-9a-f][0-9a-f])"),
        (range(128), "(?i).*(?:[0-7][0-9a-f])"),
        ([0x3A], "(?i).*(?:3a)"),
        (range(20), "(?i).*(?:0[0-9a-f]|1[0-3])"),
        ([0x09, 0x0A, 0x0C, 0x59, 0x5A, 0x5C], "(?i).*(?:[05][9ac])"),
        (range(0xF8, 0x100), "(?i).*(?:f[8-9a-f])"),
    ],
)
def test_patterns_are_short_and_plain(buckets, pattern):
    assert bucket_pattern(buckets) == pattern


def test_capital_digits_count_and_other_tails_belong_to_nobody():
    matches = bucket_matches("x-user", assign({"a": 50, "b": 50}))
    assert arms_of("7F", matches) == ["a"]
    assert arms_of("FF", matches) == ["b"]
    assert arms_of("fz", matches) == arms_of("", {}) == []


def test_an_arm_without_weight_has_no_match_at_all():
    # A route without headers would match everybody.
    matches = bucket_matches("x-user", assign({"a": 100, "b": 0}))
    assert list(matches) == ["a"]
    assert matches["a"][0].kind is MatchKind.PATTERN


@pytest.mark.parametrize("weights", [{"a": 50, "b": 49}, {"a": 101, "b": -1}, {}])
def test_weights_must_be_whole(weights):
    with pytest.raises(InvalidSpec, match="sum to 100"):
        assign(weights)


@pytest.mark.parametrize("header", ["x_user", "", "x user", "x:y"])
def test_a_header_that_the_gateway_refuses_is_refused(header):
    with pytest.raises(InvalidSpec, match="gateway refuses"):
        bucket_matches(header, assign({"a": 100}))


@pytest.mark.parametrize(
    ("header", "is_there"),
    [
        ("arm=b", True),
        ("arm=b; theme=dark", True),
        ("theme=dark; arm=b", True),
        ("theme=dark;arm=b;x=1", True),
        ("arm=bb", False),
        ("arm=b2; x=1", False),
        ("charm=b", False),
        ("x=arm=b", False),
        ("arm=a; theme=b", False),
        ("", False),
    ],
)
def test_a_cookie_is_found_wherever_it_stands_and_nowhere_else(header, is_there):
    (match,) = cookie_match("arm", "b")
    assert (match.name, match.kind) == ("cookie", MatchKind.PATTERN)
    assert bool(re.fullmatch(match.value, header)) is is_there


def test_what_a_pattern_would_read_as_a_sign_is_taken_literally():
    (match,) = cookie_match("a.b", "(1+1)")
    assert re.fullmatch(match.value, "a.b=(1+1)")
    assert not re.fullmatch(match.value, "axb=(1+1)")


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "c"), ("", "c"), ("a=b", "c"), ("a", "x;y"), ("a", "")]
)
def test_what_no_cookie_can_be_is_refused(name, value):
    with pytest.raises(InvalidSpec, match="of a cookie"):
        cookie_match(name, value)
