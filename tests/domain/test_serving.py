"""Which versions go together, what a wish means for the cluster, and what has to go for it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidSpec
from domain.names import LABEL, LABEL_LENGTH, workload_name
from domain.registry import ServiceState
from domain.serving import (
    MOST_VERSIONS,
    ServiceWish,
    Turn,
    mount_names,
    own_name,
    own_workload,
    require_servable,
    served,
    set_moving,
    takes_away,
    turn,
    wished,
)
from tests.projects import NOW, a_model, a_service, a_version, an_environment

MODEL = a_model(uuid4())
V1, V2, V3 = (a_version(MODEL, name=name) for name in ("v1", "v2", "v3"))
ENVIRONMENT = an_environment(MODEL.project_id)
DEPLOYED, DEPLOYING = ServiceState.DEPLOYED, ServiceState.DEPLOYING
UNDEPLOYED, UNDEPLOYING = ServiceState.UNDEPLOYED, ServiceState.UNDEPLOYING
FAILED = ServiceState.FAILED


def a_wish(desired=None, *versions, **more):
    return ServiceWish(
        desired_state=desired, served_models=served(versions) if versions else None, **more
    )


def service_in(desired, current, *versions, **more):
    models = served(versions or (V1,))
    return a_service(
        ENVIRONMENT, V1, desired_state=desired, current_state=current, served_models=models, **more
    )


@pytest.mark.parametrize(
    ("desired", "current", "wish", "expected"),
    [
        (DEPLOYED, DEPLOYED, a_wish(), Turn.NOTHING),
        (DEPLOYED, DEPLOYED, a_wish(description="new"), Turn.NOTHING),
        (DEPLOYED, DEPLOYED, a_wish(DEPLOYED), Turn.NOTHING),
        (DEPLOYED, DEPLOYED, a_wish(None, V1), Turn.NOTHING),
        (DEPLOYED, DEPLOYED, a_wish(None, V2), Turn.START),
        (DEPLOYED, DEPLOYED, a_wish(None, V1, V2), Turn.START),
        (DEPLOYED, DEPLOYED, a_wish(UNDEPLOYED), Turn.START),
        (DEPLOYED, FAILED, a_wish(DEPLOYED), Turn.START),
        (DEPLOYED, FAILED, a_wish(None, V1), Turn.START),
        (DEPLOYED, FAILED, a_wish(UNDEPLOYED), Turn.START),
        (DEPLOYED, FAILED, a_wish(description="new"), Turn.NOTHING),
        (DEPLOYED, DEPLOYING, a_wish(description="new"), Turn.NOTHING),
        (DEPLOYED, DEPLOYING, a_wish(DEPLOYED), Turn.JOIN),
        (DEPLOYED, DEPLOYING, a_wish(None, V1), Turn.JOIN),
        (DEPLOYED, DEPLOYING, a_wish(None, V2), Turn.BUSY),
        (DEPLOYED, DEPLOYING, a_wish(UNDEPLOYED), Turn.BUSY),
        (UNDEPLOYED, UNDEPLOYING, a_wish(UNDEPLOYED), Turn.JOIN),
        (UNDEPLOYED, UNDEPLOYING, a_wish(DEPLOYED), Turn.BUSY),
        (UNDEPLOYED, UNDEPLOYED, a_wish(UNDEPLOYED), Turn.NOTHING),
        (UNDEPLOYED, UNDEPLOYED, a_wish(None, V2), Turn.NOTHING),
        (UNDEPLOYED, UNDEPLOYED, a_wish(DEPLOYED), Turn.START),
        (UNDEPLOYED, UNDEPLOYED, a_wish(DEPLOYED, V2), Turn.START),
        (UNDEPLOYED, FAILED, a_wish(UNDEPLOYED), Turn.START),
        (UNDEPLOYED, FAILED, a_wish(DEPLOYED), Turn.START),
    ],
)
def test_a_wish_means_something_for_the_cluster_or_not(desired, current, wish, expected):
    assert turn(service_in(desired, current), wish) is expected


@pytest.mark.parametrize(
    ("current", "wish", "expected"),
    [
        (DEPLOYED, a_wish(DEPLOYED, V1), False),
        (FAILED, a_wish(DEPLOYED), False),
        (DEPLOYED, a_wish(None, V2), True),
        (DEPLOYED, a_wish(UNDEPLOYED), True),
        (UNDEPLOYED, a_wish(UNDEPLOYED), False),
    ],
)
def test_other_versions_or_none_take_away_what_clients_reach(current, wish, expected):
    assert takes_away(service_in(DEPLOYED, current), wish) is expected


def test_what_is_not_wished_stays_and_the_change_is_later_than_the_last():
    before = service_in(DEPLOYED, DEPLOYED, description="old")
    after = wished(before, a_wish(description="new"), NOW - timedelta(hours=1))

    assert after == replace(
        before, description="new", updated_at=before.updated_at + timedelta(microseconds=1)
    )


def own(service, *versions):
    return own_workload(service, "prod", versions)


def test_a_service_that_moves_lets_its_former_workload_go():
    service = service_in(DEPLOYED, FAILED, state_reason="no such model")
    moving = set_moving(service, former=own(service, V1), own=own(service, V2))

    assert (moving.current_state, moving.state_reason) == (DEPLOYING, "")
    assert moving.leaving == (own(service, V1),)


def test_what_was_left_over_by_a_failed_change_goes_with_the_next():
    service = service_in(DEPLOYED, DEPLOYED)
    first = set_moving(service, former=own(service, V1), own=own(service, V2))
    second = set_moving(first, former=own(service, V2), own=own(service, V3))
    back = set_moving(first, former=own(service, V2), own=own(service, V1))

    assert second.leaving == (own(service, V1), own(service, V2))
    assert back.leaving == (own(service, V2),)


def test_undeploying_lets_everything_go():
    service = service_in(UNDEPLOYED, DEPLOYED)
    moving = set_moving(service, former=own(service, V1), own=None)

    assert (moving.current_state, moving.leaving) == (UNDEPLOYING, (own(service, V1),))


def test_one_version_has_the_workload_that_a_rollout_would_give_it():
    service = service_in(DEPLOYED, DEPLOYED)
    workload = own(service, V1)

    assert workload.name == workload_name(service.name, V1.name, service.id, V1.id)
    assert (workload.uri, workload.artefacts) == (V1.uri, ())


def test_several_versions_have_a_workload_with_a_place_for_each():
    service = service_in(DEPLOYED, DEPLOYED)
    first, second = replace(V1, uri="s3://a/1"), replace(V2, uri="s3://a/2")
    workload = own(service, first, second)

    assert [(one.mount, one.uri) for one in workload.artefacts] == [
        ("v1", "s3://a/1"),
        ("v2", "s3://a/2"),
    ]
    assert (workload.version_id, workload.uri) == (V1.id, "s3://a/1")
    names = {
        own(service, *some).name for some in ((V1,), (V1, V2), (V2, V1), (V1, V3), (V1, V2, V3))
    }
    assert len(names) == 5


def test_the_name_of_one_version_never_changes():
    ids = UUID(int=1), UUID(int=2)

    assert workload_name("chat", "v1", *ids) == "chat-v1-78d68721"


@given(st.lists(st.text(max_size=80), min_size=2, max_size=6))
def test_any_names_give_places_of_their_own(names):
    places = mount_names([a_version(MODEL, name=name) for name in names])

    assert len(set(places)) == len(places)
    assert all(LABEL.fullmatch(place) and len(place) <= LABEL_LENGTH for place in places)


@pytest.mark.parametrize(
    ("versions", "rule"),
    [
        ((), "1 to 16"),
        ((V1, V1), "each once"),
        (tuple(a_version(MODEL, name=f"v{i}") for i in range(MOST_VERSIONS + 1)), "1 to 16"),
        ((a_version(a_model(MODEL.project_id)),), "of the registered model"),
        ((V1, replace(V2, model_format="onnx")), "one model_format"),
        ((V1, replace(V2, runtime="kserve-vllmserver")), "one runtime"),
    ],
)
def test_versions_that_one_server_cannot_serve_are_refused(versions, rule):
    with pytest.raises(InvalidSpec, match=rule) as caught:
        require_servable(MODEL.id, versions)
    assert {violation.field for violation in caught.value.violations} == {"model_version_ids"}


def test_versions_of_one_kind_can_be_served_together():
    require_servable(MODEL.id, (V1, V2, V3))


@pytest.mark.parametrize("versions", [(V1,), (V1, V2), (V2, V1, V3)])
def test_a_service_s_workload_is_named_without_looking_its_versions_up(versions):
    service = a_service(ENVIRONMENT, V1, served_models=served(versions))
    assert own_name(service) == own_workload(service, "prod", versions).name


def test_a_service_that_serves_nothing_has_no_workload_to_name():
    assert own_name(a_service(ENVIRONMENT, V1, served_models=())) is None
