"""Traffic configs: published before they are answered, honest about what became of them."""

from uuid import uuid4

import pytest

from api.errors import EngineUnreachable
from domain.names import route_name
from domain.registry import ConfigStatus


async def test_a_config_starts_with_stable_at_100_and_its_route_published(api, control):
    ids = await api.served()
    config = (await api.get(f"/traffic_configs/{ids['config']}")).json()
    assert config["status"] == "active"
    assert config["strategy"] == "canary"
    (stable,) = config["variants"]
    assert (stable["variant_name"], stable["role"], stable["weight"]) == ("stable", "stable", 100)
    assert (stable["slot"], stable["model_version_id"]) == (0, ids["v1"])
    ((published, variant),) = control.published
    assert str(published) == ids["config"]
    assert variant.workload.name == stable["kserve_isvc_name"]
    assert config["ai_gateway_route_name"] == route_name(published)


async def test_a_service_has_one_config(api):
    ids = await api.served()
    again = await api.post("/traffic_configs", {"inference_service_id": ids["service"]})
    assert again.status_code == 409


async def test_another_version_than_the_services_is_refused(api):
    ids = await api.served()
    body = {"inference_service_id": ids["service"], "stable_version_id": ids["v2"]}
    answer = await api.post("/traffic_configs", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "stable_version_id"


async def test_an_unknown_strategy_is_refused(api):
    body = {"inference_service_id": str(uuid4()), "strategy": "hope"}
    answer = await api.post("/traffic_configs", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "strategy"


async def test_a_route_that_was_not_published_is_told_and_published_by_a_repeat(api, control):
    control.publish_as = ConfigStatus.FAILED
    ids = await api.served()
    config = (await api.get(f"/traffic_configs/{ids['config']}")).json()
    assert (config["status"], config["status_reason"]) == ("failed", "the gateway refused")
    control.publish_as = ConfigStatus.ACTIVE
    body = {"inference_service_id": ids["service"]}
    again = await api.made("/traffic_configs", body)
    assert (again["id"], again["status"]) == (ids["config"], "active")


async def test_a_config_whose_publishing_never_began_is_taken_up_again(api, control):
    control.fail("publish_config", EngineUnreachable())
    with pytest.raises(AssertionError, match="503"):
        await api.served()
    (service,) = (await api.get("/inference_services")).json()["items"]
    body = {"inference_service_id": service["id"]}
    assert (await api.made("/traffic_configs", body))["status"] == "active"


async def test_configs_are_listed_by_their_service(api):
    ids = await api.served()
    mine = (await api.get(f"/traffic_configs?inference_service_id={ids['service']}")).json()
    none = (await api.get(f"/traffic_configs?inference_service_id={uuid4()}")).json()
    assert ([c["id"] for c in mine["items"]], none["total"]) == ([ids["config"]], 0)
