"""docs/fleet.md: every body is accepted, every field and number is the one of the code."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from api.schemas.fleet import (
    ClearanceOut,
    FreezeWindowIn,
    RolloutGroupIn,
    RolloutGroupOut,
    WeeklyBody,
)
from domain.fleet import MOST_LIMIT, Freeze, ordinal
from tests.docs.pages import blocks, option, page, search, section, tables
from tests.docs.test_commands import CURLS

TEXT = page("fleet")
BODIES: dict[str, type[FreezeWindowIn | RolloutGroupIn]] = {
    "freeze_windows": FreezeWindowIn,
    "rollout_groups": RolloutGroupIn,
}
MADE = [
    words
    for words in CURLS
    if option(words, "-d") and any(word.endswith(end) for word in words for end in BODIES)
]


@pytest.mark.parametrize("words", MADE, ids=" ".join)
def test_every_body_makes_a_thing(words):
    schema = next(BODIES[end] for end in BODIES for word in words if word.endswith(end))
    wish = schema.model_validate(json.loads(option(words, "-d")))
    assert wish.to_domain(uuid4(), datetime.now(UTC)).name


def test_there_are_bodies_of_each_kind():
    assert len(MADE) == 3
    assert len(blocks(TEXT, "sh")) == 4


def test_every_field_of_a_window_is_told():
    (rows,) = tables(section(TEXT, "Freeze windows"))
    told = [name.strip("` ") for row in rows for name in row[0].split(",")]
    assert told == list(FreezeWindowIn.model_fields)
    weekly = next(row for row in rows if row[0] == "weekly")
    assert all(f"`{name}`" in weekly[2] for name in WeeklyBody.model_fields)
    assert f"`{WeeklyBody.model_fields['time_zone'].default}` by default" in weekly[2]


def test_the_answer_and_the_limit_are_those_of_the_code():
    text = section(TEXT, "Groups")
    assert {"has_turn", "waiting"} <= RolloutGroupOut.model_fields.keys()
    assert search(r"`limit` of them \(1 to (\d+)\)", text) == (f"{MOST_LIMIT}",)


def test_what_is_said_is_said_so():
    until = datetime(2026, 11, 30, tzinfo=UTC)
    freeze = Freeze(name="black-friday", reason="the busiest days", until=until)
    assert f"`{freeze}`" in TEXT
    assert f"`{ordinal(3)} in the queue of group gpu-pool-a`" in " ".join(TEXT.split())


def test_every_field_of_a_clearance_is_told():
    (rows,) = tables(section(TEXT, "What holds a rollout"))
    assert [row[0] for row in rows] == list(ClearanceOut.model_fields)
