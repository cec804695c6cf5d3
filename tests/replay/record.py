"""Records one finished history of each path: `python -m tests.replay.record`, at each release.

Histories of released versions are never edited: a change of the workflow must replay them all.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

KEEP = "TIDEGATE_KEEP_HISTORIES"
ROOT = Path(__file__).resolve().parents[2]
HISTORIES = Path(__file__).parent / "histories"
PATHS = (
    "a_proven_candidate_is_promoted",
    "a_failing_gate_sends_all_traffic_home",
    "an_abort_during_a_soak",
    "an_abort_while_deploying",
    "a_version_that_never_loads",
    "a_paused_rollout_holds_though_proven",
    "promoting_in_full_skips",
    "a_cancelled_rollout_goes_home",
    "a_cancel_during_the_rollback",
    "drift_pauses_and_a_resume",
    "the_guardian_takes_over",
    "signals_do_what_updates_do",
    "a_way_home_that_the_cluster_forbids",
    "green_is_previewed_judged",
    "an_abort_after_the_switch",
    "a_shadow_gets_copies",
    "a_shadow_that_fails_is_removed_once",
    "a_mirror_comes_before",
    "the_candidate_is_scaled",
    "a_resume_looks_for_replicas_again",
    "an_approval_lets_it_go_on",
    "a_rejection_goes_home",
    "a_skip_ends_a_wait",
    "each_increase_and_the_promotion_are_asked_for",
    "a_rollback_and_the_end_are_told",
    "the_time_before_it_may_begin",
    "the_fleet_s_time_is_bounded_in_all",
    "other_versions_are_ready_before_the_former_ones_go",
    "a_service_is_forgotten_once_nothing_is_left_of_it",
    "a_variant_joins_ready_and_at_weight_0",
    "a_deleted_variant_is_drained",
    "traffic_that_does_not_obey_is_taken_back",
    "a_cancelled_operation_goes_back",
    "an_operation_that_was_cut_off_is_taken_back",
    "what_was_cut_off_while_tidying",
    "a_deleted_config_leaves_only",
    "a_fallback_joins_stage_by_stage",
    "what_the_gateway_does_not_obey_is_undone",
    "the_last_backend_takes_the_route_with_it",
    "the_winner_gets_all_traffic",
    "an_arm_that_fails_its_gate_leaves",
    "one_that_asks_promotes_the_winner",
    "when_time_is_up_it_concludes",
    "weights_follow_what_is_due",
    "a_guardian_goes_on_with_the_arm",
)
STORIES = (
    "rollout",
    "strategies",
    "scaling",
    "ab_test",
    "fleet",
    "operation",
    "serving",
    "virtual_models",
)
TESTS = tuple(f"tests/workflows/test_{name}.py" for name in STORIES)


def keep(history: WorkflowHistory, name: str) -> None:
    """Write a history down, without the spaces that make it twice as large."""
    bare = _without_traces(json.loads(history.to_json()))
    compact = json.dumps(bare, separators=(",", ":"))
    Path(os.environ[KEEP], f"{name}.json").write_text(compact)


def _without_traces(node: Any) -> Any:
    """Stack traces are no part of a replay, and name the paths of a machine."""
    if isinstance(node, dict):
        return {key: _without_traces(value) for key, value in node.items() if key != "stackTrace"}
    return [_without_traces(value) for value in node] if isinstance(node, list) else node


def main() -> int:
    """Walk the paths and keep their histories under the version that pyproject.toml names."""
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    kept = HISTORIES / (version[1] if version else "unknown")
    kept.mkdir(parents=True, exist_ok=True)
    os.environ[KEEP] = str(kept)
    return pytest.main(["-q", *TESTS, "-k", " or ".join(PATHS)])


if __name__ == "__main__":
    sys.exit(main())
