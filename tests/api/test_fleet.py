"""Freeze windows and rollout groups: what is stored, what is refused, whose turn it is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.errors import Unreachable
from domain.rollout import Rollout
from tests.api.caller import canary
from tests.api.staging import change

SPAN = {"starts_at": "2026-11-27T00:00:00Z", "ends_at": "2026-11-30T00:00:00Z"}
WEEK = {"days": ["saturday", "friday"], "starts": "18:00", "ends": "08:00"}
GROUP = {"name": "gpu-pool-a", "limit": 1}


def a_wish(**changes):
    return {"name": "black-friday", **SPAN, **changes}


async def refused(answer, *fields):
    assert answer.status_code == 422, answer.text
    errors = answer.json()["errors"]
    assert [error["field"] for error in errors] == list(fields)
    return errors[0]["rule"]


async def test_a_span_is_shown_as_it_was_given(api):
    made = await api.made("/freeze_windows", a_wish(reason="the busiest days"))

    assert (made["starts_at"], made["ends_at"]) == tuple(SPAN.values())
    assert (made["weekly"], made["groups"], made["reason"]) == (None, None, "the busiest days")
    assert (await api.get(f"/freeze_windows/{made['id']}")).json() == made


async def test_a_weekly_window_is_shown_as_it_was_given_its_days_in_order(api):
    weekly = {**WEEK, "time_zone": "Europe/Berlin"}
    made = await api.made("/freeze_windows", {"name": "weekend", "weekly": weekly})

    assert made["weekly"] == {**weekly, "days": ["friday", "saturday"]}
    assert (made["starts_at"], made["ends_at"]) == (None, None)


async def test_a_window_says_whether_it_is_in_force(api):
    now = datetime.now(UTC)
    times = {
        "starts_at": (now - timedelta(hours=1)).isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(),
    }
    made = await api.made("/freeze_windows", a_wish(**times))

    assert made["in_force_until"] == made["ends_at"]
    path = f"/freeze_windows/{made['id']}"
    ended = await api.patch(path, {"ends_at": (now - timedelta(minutes=1)).isoformat()})
    assert ended.json()["in_force_until"] is None


async def test_a_time_is_kept_in_utc_whatever_its_offset(api):
    made = await api.made("/freeze_windows", a_wish(starts_at="2026-11-27T01:00:00+02:00"))
    assert made["starts_at"] == "2026-11-26T23:00:00Z"


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"ends_at": SPAN["starts_at"]}, "ends_at", "after starts_at"),
        ({"ends_at": None}, "ends_at", "a freeze that nobody ends is an outage"),
        ({"starts_at": None}, "starts_at", "unless weekly is given"),
        ({"weekly": WEEK}, "weekly", "cannot stand beside"),
        ({"starts_at": "2026-11-27T00:00:00"}, "starts_at", "with its offset"),
        ({"starts_at": 1764201600}, "starts_at", "with its offset"),
        ({"starts_at": "0001-01-01T00:00:00+10:00"}, "starts_at", "years 2000 to 2999"),
        ({"starts_at": "2026-02-30T00:00:00Z"}, "starts_at", "out of range"),
        ({"groups": []}, "groups", "at least 1"),
        ({"groups": ["gpu-pool-z"]}, "groups.0", "no rollout group 'gpu-pool-z'"),
        ({"name": ""}, "name", "at least 1"),
        ({"timezone": "UTC"}, "timezone", "is not known"),
    ],
)
async def test_a_window_that_makes_no_sense_is_told_by_field_and_rule(api, changes, field, rule):
    assert rule in await refused(await api.post("/freeze_windows", a_wish(**changes)), field)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"time_zone": "Mars/Olympus"}, "weekly.time_zone", "no IANA time zone"),
        ({"starts": "24:00"}, "weekly.starts", "from 00:00 to 23:59"),
        ({"ends": "8"}, "weekly.ends", "from 00:00 to 23:59"),
        ({"days": []}, "weekly.days", "at least 1"),
        ({"days": ["someday"]}, "weekly.days.0", "monday"),
    ],
)
async def test_a_week_that_makes_no_sense_is_told_by_field_and_rule(api, changes, field, rule):
    wish = {"name": "weekend", "weekly": {**WEEK, **changes}}
    assert rule in await refused(await api.post("/freeze_windows", wish), field)


async def test_every_day_around_the_clock_is_refused(api):
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    weekly = {"days": days, "starts": "00:00", "ends": "00:00"}
    wish = {"name": "never", "weekly": weekly}
    assert "never end" in await refused(await api.post("/freeze_windows", wish), "weekly")


async def test_what_a_change_of_a_window_leaves_out_stays(api):
    await api.made("/rollout_groups", GROUP)
    made = await api.made("/freeze_windows", a_wish(groups=["gpu-pool-a"], reason="busy"))
    path = f"/freeze_windows/{made['id']}"

    assert (await api.patch(path, {})).json() == made
    moved = (await api.patch(path, {"ends_at": "2026-12-01T00:00:00Z"})).json()
    assert (moved["starts_at"], moved["ends_at"]) == (SPAN["starts_at"], "2026-12-01T00:00:00Z")
    weekly = (await api.patch(path, {"weekly": WEEK})).json()
    assert (weekly["starts_at"], weekly["weekly"]["starts"]) == (None, "18:00")
    assert (weekly["groups"], weekly["reason"]) == (["gpu-pool-a"], "busy")
    wider = (await api.patch(path, {"groups": None, "name": "always"})).json()
    assert (wider["groups"], wider["name"], wider["weekly"]) == (None, "always", weekly["weekly"])
    await refused(await api.patch(path, {"starts_at": SPAN["starts_at"]}), "ends_at")
    await refused(await api.patch(path, {"groups": ["gpu-pool-z"]}), "groups.0")


async def test_a_deleted_window_is_gone(api):
    made = await api.made("/freeze_windows", a_wish())
    path = f"/freeze_windows/{made['id']}"

    assert (await api.delete(path)).status_code == 204
    assert (await api.delete(path)).status_code == 404


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": "GPU Pool", "limit": 1}, "name"),
        ({"name": "a/b", "limit": 1}, "name"),
        ({"name": "gpu", "limit": 0}, "limit"),
        ({"name": "gpu", "limit": 1001}, "limit"),
        ({"name": "gpu", "limit": "2"}, "limit"),
        ({"name": "gpu"}, "limit"),
    ],
)
async def test_a_group_that_makes_no_sense_is_told_by_field(api, wish, field):
    await refused(await api.post("/rollout_groups", wish), field)


async def test_a_name_is_taken_once_in_a_project(api, stranger):
    for path, wish in (("/rollout_groups", GROUP), ("/freeze_windows", a_wish())):
        await api.made(path, wish)
        answer = await api.post(path, wish)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:tidegate:problem:already-exists"
        await stranger.made(path, wish)


async def test_lists_go_page_by_page(api):
    for number in range(3):
        await api.made("/rollout_groups", {"name": f"pool-{number}", "limit": 1})
        await api.made("/freeze_windows", a_wish(name=f"pool-{number}"))
    for path in ("/rollout_groups", "/freeze_windows"):
        first = (await api.get(f"{path}?limit=2")).json()
        assert [one["name"] for one in first["items"]] == ["pool-2", "pool-1"]
        assert (first["total"], first["next_offset"]) == (3, 2)
        named = (await api.get(f"{path}?name=pool-0")).json()
        assert [one["name"] for one in named["items"]] == ["pool-0"]


async def test_a_group_shows_who_has_its_turn_and_the_queue_in_order(api, fleet, registry):
    ids = await api.served()
    await api.made("/rollout_groups", GROUP)
    path = f"/traffic_configs/{ids['config']}/rollouts"
    first = registry.things[Rollout][UUID((await api.made(path, canary(ids["v2"])))["id"])]
    others = [replace(first, id=uuid4()) for _ in range(2)]
    for rollout in (first, *others):
        registry.things[Rollout][rollout.id] = rollout
        await fleet.ask(rollout.project_id, rollout.id, "gpu-pool-a")

    shown = (await api.get("/rollout_groups/gpu-pool-a")).json()
    assert [(one["rollout_id"], one["place"]) for one in shown["has_turn"]] == [(str(first.id), 0)]
    assert [(one["rollout_id"], one["place"]) for one in shown["waiting"]] == [
        (str(others[0].id), 1),
        (str(others[1].id), 2),
    ]
    change(registry, Rollout, first.id, ended_at=datetime.now(UTC))
    await api.patch("/rollout_groups/gpu-pool-a", {"limit": 2})
    shown = (await api.get("/rollout_groups/gpu-pool-a")).json()
    assert (len(shown["has_turn"]), shown["waiting"]) == (2, [])


async def test_a_group_in_use_is_not_deleted_and_the_answer_names_its_user(api, fleet, registry):
    ids = await api.served()
    await api.made("/rollout_groups", GROUP)
    made = await api.made(f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"]))
    rollout = registry.things[Rollout][UUID(made["id"])]
    await fleet.ask(rollout.project_id, rollout.id, "gpu-pool-a")

    answer = await api.delete("/rollout_groups/gpu-pool-a")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidegate:problem:in-use")
    assert f"rollout of 'chat' ({rollout.id})" in answer.json()["detail"]
    change(registry, Rollout, rollout.id, ended_at=datetime.now(UTC))
    assert (await api.delete("/rollout_groups/gpu-pool-a")).status_code == 204


async def test_a_database_that_is_away_is_a_503(api, fleet):
    fleet.error = Unreachable("away")
    for path in ("/freeze_windows", "/rollout_groups", "/rollout_groups/gpu-pool-a"):
        assert (await api.get(path)).status_code == 503
