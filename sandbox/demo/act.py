"""One trial on the stage: start the rollout, tell it as it happens, look who answers at its end."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.caller import Caller, Document
from sandbox.demo.judgement import Ended, Tally, after_the_end, tallied
from sandbox.demo.specs import Trial
from sandbox.demo.stage import Glance, Stage
from sandbox.demo.story import Line, Scene, Tone
from sandbox.load import Outcome, Timeline
from sandbox.seed import MODEL, Seeded

WINDOW = timedelta(seconds=3)
"""How long the answers after the end are looked at."""
_PATIENCE = timedelta(seconds=100)
_GLANCES_PER_SECOND = 4
_RECENT_SECONDS = 3.0
# An answer to the window's last request is on its way for this long at most, as a rule.
_LAST_ANSWERS_SECONDS = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """`begun_at` is the time of `time.monotonic()`, as in the load generator's outcomes."""

    name: str
    begun_at: float
    ended: Ended


class Act:
    def __init__(self, caller: Caller, timeline: Timeline, stage: Stage) -> None:
        self._caller = caller
        self._timeline = timeline
        self._stage = stage
        self._begun_at = 0.0
        self._seen = 0
        self._so_far = Tally()

    async def play(self, trial: Trial, seeded: Seeded, number: str) -> Played:
        """Comes back after the rollout's end, or when it takes too long; raises CallFailed."""
        self._begun_at, self._seen = time.monotonic(), len(self._timeline)
        path = f"/traffic_configs/{seeded.config_id}/rollouts"
        rollout = await self._caller.post(path, trial.body(seeded.versions[trial.version]))
        scene = Scene.of(rollout)
        name = f"{MODEL} {scene.stable} to {scene.candidate}"
        self._stage.title(f"{number}  {name}: {trial.promise}", scene.link)
        with self._stage.panel():
            showing = asyncio.create_task(self._show(scene, f"{number}  {name}"))
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PATIENCE.total_seconds()):
                        await self._follow(rollout["id"], scene)
                rollout = await self._caller.get(f"/rollouts/{rollout['id']}")
                scene.is_over = rollout["ended_at"] is not None
                after = await self._answers_after_the_end() if scene.is_over else []
            finally:
                showing.cancel()
                await asyncio.gather(showing, return_exceptions=True)
        ended = _ended(trial, scene, rollout, after)
        self._stage.lines([_closing(ended, rollout)])
        return Played(name=name, begun_at=self._begun_at, ended=ended)

    async def _follow(self, rollout_id: str, scene: Scene) -> None:
        async for event in self._caller.events(rollout_id):
            self._stage.lines(scene.hear(event))

    async def _show(self, scene: Scene, title: str) -> None:
        while True:
            self._stage.glance(scene, self._glance(scene, title))
            await asyncio.sleep(1 / _GLANCES_PER_SECOND)

    def _glance(self, scene: Scene, title: str) -> Glance:
        fresh = self._timeline.outcomes(self._seen)
        self._seen += len(fresh)
        for outcome in fresh:
            if outcome.variant == scene.servers.candidate:
                self._so_far.add(outcome)
        return Glance(
            title=title,
            seconds=time.monotonic() - self._begun_at,
            recent=tallied(self._recent()),
            recent_seconds=_RECENT_SECONDS,
            so_far=self._so_far,
        )

    def _recent(self) -> list[Outcome]:
        """What was answered in the last seconds; outcomes stand in the order of their ends."""
        timeline, since = self._timeline, time.monotonic() - _RECENT_SECONDS
        start = len(timeline)
        while start and timeline.sent_at[start - 1] + timeline.seconds[start - 1] >= since:
            start -= 1
        return timeline.outcomes(start)

    async def _answers_after_the_end(self) -> list[Outcome]:
        """The answers to all requests that are sent in the window that begins now."""
        end, start = time.monotonic(), len(self._timeline)
        await asyncio.sleep(WINDOW.total_seconds() + _LAST_ANSWERS_SECONDS)
        until = end + WINDOW.total_seconds()
        return [one for one in self._timeline.outcomes(start) if end <= one.sent_at < until]


def _ended(trial: Trial, scene: Scene, rollout: Document, after: Sequence[Outcome]) -> Ended:
    begin = datetime.fromisoformat(rollout["created_at"])
    end = datetime.fromisoformat(rollout["ended_at"] or rollout["updated_at"])
    return Ended(
        trial=trial,
        servers=scene.servers,
        phase=rollout["phase"],
        reason=rollout["phase_reason"],
        took=end - begin,
        failed_gates=tuple(scene.failed_gates),
        after=tallied(after),
    )


def _closing(ended: Ended, rollout: Document) -> Line:
    if rollout["ended_at"] is None:
        text = f"no end after {_PATIENCE.seconds} s; the rollout is {ended.phase}: {ended.reason}"
        return Line(label="gave up", text=text, tone=Tone.BAD)
    return Line(
        seconds=ended.took.total_seconds(),
        label="clients",
        text=after_the_end(ended),
        tone=Tone.STRONG,
    )
