"""The story of rollouts that were recorded from a real cluster, as a file or a pipe gets it."""

import io
import json
import re
from pathlib import Path

import pytest

from sandbox.caller import Event
from sandbox.demo.judgement import Tally
from sandbox.demo.stage import Glance, Stage
from sandbox.demo.story import Line, Scene

RECORDED = Path(__file__).with_name("recorded")


@pytest.mark.parametrize("name", ["promotion", "rollback"])
def test_a_recorded_rollout_is_told_line_by_line(name):
    scene, events = recorded(name)

    assert (RECORDED / f"{name}.txt").read_text() == told(scene, events)


def test_nothing_is_told_twice():
    scene, events = recorded("promotion")

    sentences = [line.text for event in events for line in scene.hear(event)]

    assert len(sentences) == len(set(sentences))


def test_the_scene_knows_where_a_rollback_stands():
    scene, events = recorded("rollback")
    assert scene.now == "step 1 of 8: deploy the candidate at weight 0"
    assert scene.split == "v2 100 %, v3-errors 0 %"

    heard: dict[str, tuple[str, str]] = {}
    for event in events:
        scene.hear(event)
        heard.setdefault(event.kind, (scene.now, scene.split))

    assert heard["settled"] == (
        "step 2 of 8: send 10 % to the candidate",
        "v2 90 %, v3-errors 10 %",
    )
    assert heard["rollback_started"] == ("rolling back to v2", "v2 90 %, v3-errors 10 %")
    assert heard["weights_set"] == ("rolling back to v2", "v2 100 %, v3-errors 0 %")
    assert scene.failed_gates == ["errors"]


def test_a_verdict_does_not_outlive_its_weight():
    scene, events = recorded("promotion")
    statuses = []
    for event in events:
        scene.hear(event)
        if event.kind == "step_started" and scene.steps[scene.step]["kind"] == "soak":
            statuses.append({name: gate.status for name, gate in scene.gates.items()})

    assert statuses == [{"errors": "undecided", "latency": "undecided"}] * 2


def test_a_gate_that_is_undecided_does_not_repeat_how_little_it_knew_at_first():
    scene, events = recorded("promotion")
    reasons = set()
    for event in events:
        scene.hear(event)
        reasons |= {gate.reason for gate in scene.gates.values() if gate.status == "undecided"}

    assert reasons == {"no verdict yet", "gathering evidence"}


def test_an_event_of_an_unknown_kind_is_told_as_it_is():
    scene, events = recorded("rollback")
    event = Event(
        id=1, kind="metrics_back", message="The metrics are back", at=events[0].at, step=2, data={}
    )

    assert [(line.label, line.text) for line in scene.hear(event)] == [
        ("metrics back", "The metrics are back")
    ]


def test_a_glance_is_a_line_where_no_panel_is_possible():
    scene, _ = recorded("rollback")
    file = io.StringIO()
    now = [100.0]
    stage = Stage(file, clock=lambda: now[0])
    with stage.panel():
        now[0] += 4.9
        stage.glance(scene, glance_at(scene))
        assert file.getvalue() == ""

        now[0] += 0.1
        stage.glance(scene, glance_at(scene))

    assert file.getvalue() == (
        "   7.2 s  clients       v2 90.0 %, v3-errors 10.0 % of 300 answers in 3 s; answers of v3-errors so\n"
        "                        far: 60 (20 failed, 1 slow)\n"
    )


@pytest.mark.parametrize("columns", [60, 100, 200])
def test_the_panel_keeps_its_height_however_long_a_reason_is(monkeypatch, columns):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    scene, events = recorded("rollback")
    terminal = Terminal()
    stage = Stage(terminal)
    heights = set()
    shown = ""
    with stage.panel():
        for event in events:
            scene.hear(event)
            terminal.truncate(0)
            stage.glance(scene, glance_at(scene))
            shown = plain(terminal.getvalue())
            heights.add(shown.count("\n"))
            assert max(len(line) for line in shown.splitlines()) <= columns

    assert len(heights) == 1
    assert "2 of 3, 7 s ──" in shown
    assert "now           rolling back to v2\n" in shown
    assert "gate errors   fail: 18 of 61 candidate requests" in shown


def test_a_reader_that_goes_away_stops_nothing():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    stage = Stage(Gone())
    stage.say("one")
    stage.lines([Line(seconds=1.0, label="two", text="three")])


class Terminal(io.StringIO):
    def isatty(self):
        return True


def plain(text):
    """Without the codes that move the cursor and colour the text."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "").replace("\0", "")


def glance_at(scene):
    return Glance(
        title="2 of 3",
        seconds=7.25,
        recent={
            scene.servers.stable: Tally(served=270),
            scene.servers.candidate: Tally(served=30, failed=9),
        },
        recent_seconds=3.0,
        so_far=Tally(served=60, failed=20, slow=1),
    )


def recorded(name):
    document = json.loads((RECORDED / f"{name}.json").read_text())
    return Scene.of(document["rollout"]), [Event.parse(event) for event in document["events"]]


def told(scene, events):
    file = io.StringIO()
    stage = Stage(file)
    for event in events:
        stage.lines(scene.hear(event))
    return file.getvalue()
