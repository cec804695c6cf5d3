"""The Temporal dev server as we start it: what it keeps over a kill, what it knows."""

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from sandbox.cluster import cluster
from sandbox.servers.temporal import SEARCH_ATTRIBUTES

WEIGHT = SearchAttributeKey.for_int("CandidateWeight")


async def test_a_started_workflow_survives_a_kill_with_its_search_attributes(layout):
    async with cluster(layout, only={"temporal"}) as running:
        client = await Client.connect(layout.temporal_address)
        attributes = TypedSearchAttributes([SearchAttributePair(WEIGHT, 20)])
        await client.start_workflow(
            "Rollout", id="traffic-1", task_queue="none", search_attributes=attributes
        )
        await running.kill_part("temporal")
        await running.start_part("temporal")
        client = await Client.connect(layout.temporal_address)
        found = await client.get_workflow_handle("traffic-1").describe()
        assert found.typed_search_attributes[WEIGHT] == 20


async def test_finished_workflows_are_kept_for_a_month_also_after_a_restart(layout):
    for _ in range(2):
        async with cluster(layout, only={"temporal"}):
            client = await Client.connect(layout.temporal_address)
            assert await retention_days(client) == 30


async def test_the_rollouts_search_attributes_are_registered(temporal_client):
    request = ListSearchAttributesRequest(namespace="default")
    known = await temporal_client.operator_service.list_search_attributes(request)
    assert known.custom_attributes.keys() >= SEARCH_ATTRIBUTES.keys()


async def retention_days(client):
    answer = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default")
    )
    return answer.config.workflow_execution_retention_ttl.ToTimedelta().days
