"""One rollout, followed through the API as a person would."""

from datetime import datetime

from tests.e2e.waiting import until

LIMIT = 100


def moment(told):
    return datetime.fromisoformat(told["at"])


class Followed:
    def __init__(self, scene, rollout):
        self.scene = scene
        self.id = rollout["id"]
        self.workflow_id = rollout["workflow_id"]
        self.plan = rollout["plan"]
        self.candidate = rollout["plan"]["candidate"]["workload"]
        self.stable = rollout["plan"]["stable"]["workload"]

    async def look(self, **query):
        return await self.scene.get(f"/rollouts/{self.id}", **query)

    async def events(self, kind=None):
        """The history so far, or what of it is of this kind."""
        found = await self.scene.get(f"/rollouts/{self.id}/events", limit=LIMIT)
        assert found["next_after"] is None, "a test's rollout has a short history"
        return [one for one in found["items"] if kind in (None, one["kind"])]

    async def told(self, kind, *parts, after=None, within=60):
        """The first event of this kind that says all the parts, waited for.

        What may have been said before, too, is asked for `after` an earlier event.
        """
        earliest = after["id"] + 1 if after else 0

        async def found():
            for one in await self.events(kind):
                if one["id"] >= earliest and all(part in one["message"] for part in parts):
                    return one
            return None

        try:
            return await until(found, f"{kind} {parts}", within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self.story()}") from None

    async def soaking(self, weight=20):
        """Returns once the soak at this weight has begun."""
        await self.told("step_started", f"soak at {weight} %")

    async def ended(self, phase, *, within=120):
        """The rollout as it ended, which must be in this phase."""

        async def final():
            rollout = await self.look(live=False)
            return rollout if rollout["ended_at"] else None

        try:
            rollout = await until(final, f"{self.id} ended", within=within)
            assert rollout["phase"] == phase, rollout["phase_reason"]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self.story()}") from None
        return rollout

    async def command(self, action, **body):
        answer = await self.scene.call("POST", f"/rollouts/{self.id}/{action}", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def kinds(self):
        return [one["kind"] for one in await self.events()]

    async def counted_too_late(self):
        """The points of its evidence that have requests of after their step was over."""
        chart = await self.scene.get(f"/rollouts/{self.id}/evidence")
        begun = {one["step"]: moment(one) for one in await self.events("step_started")}
        points = (point for series in chart["gates"] for point in series["points"])
        return [point for point in points if moment(point) > begun[point["step"] + 1]]

    async def story(self):
        return "\n".join(
            f"{one['at'][11:23]} {one['kind']}: {one['message']}" for one in await self.events()
        )
