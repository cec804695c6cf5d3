"""What runs can be found by in Temporal: typed search attributes, and what their memos hold."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from domain.operations import Operation
from domain.plan import Plan
from domain.rollout import Phase

ROLLOUT_MEMO = "rollout_id"
OPERATION_MEMO = "operation_id"
GOAL_MEMO = "goal"
PHASE = SearchAttributeKey.for_keyword("RolloutPhase")
MODEL = SearchAttributeKey.for_keyword("RolloutModel")
STRATEGY = SearchAttributeKey.for_keyword("RolloutStrategy")
PROJECT = SearchAttributeKey.for_keyword("TidegateProject")
WEIGHT = SearchAttributeKey.for_int("CandidateWeight")


def attributes_of(plan: Plan, phase: Phase) -> TypedSearchAttributes:
    """What a rollout starts with; phase and weight change as it goes."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(PHASE, phase.value),
            SearchAttributePair(MODEL, plan.route.model),
            SearchAttributePair(STRATEGY, plan.strategy.value),
            SearchAttributePair(PROJECT, str(plan.route.project_id)),
            SearchAttributePair(WEIGHT, 0),
        ]
    )


def attributes_of_operation(operation: Operation) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(MODEL, operation.change.route.model),
            SearchAttributePair(PROJECT, str(operation.project_id)),
        ]
    )
