"""Links: each leads to an operation that there is, with values that the answer shows."""

from functools import reduce

import pytest

from domain.rollout import Action
from tests.api.caller import PREFIX, canary
from tests.api.tour import missed, operations_of, toured

COMPONENT = "#/components/links/"
# A config that has no second variant yet shows none, a virtual model without backends neither.
MAY_BE_ABSENT = {"variant_name", "backend_id"}
BARE = {"create_traffic_config", "create_virtual_model", "describe_virtual_model", "delete_backend"}


@pytest.fixture
def document(app):
    return app.openapi()


def links_of(document, operation, status):
    links = operation.spec["responses"][str(status)].get("links", {})
    for name, reference in links.items():
        yield name, document["components"]["links"][reference["$ref"].removeprefix(COMPONENT)]


def evaluated(expression, operation, answer):
    """What a runtime expression comes to; KeyError or IndexError where nothing stands there."""
    source, _, pointer = expression.partition("#")
    if source == "$response.body":
        steps = pointer.removeprefix("/").split("/")
        return reduce(lambda at, s: at[int(s)] if s.isdecimal() else at[s], steps, answer.json())
    _, place, name = source.split(".", 2)
    request = answer.request
    given = {"header": request.headers, "path": operation.arguments(request.url.path)}
    return given[place][name]


def test_each_link_names_an_operation_and_parameters_that_it_has(document):
    operations = {o.id: o for o in operations_of(document)}
    schemas = document["components"]["schemas"]
    for name, link in document["components"]["links"].items():
        target = operations[link["operationId"]]
        assert link["parameters"].keys() <= target.parameters("path", "query", "header"), name
        assert link["parameters"].keys() >= target.parameters("path"), name
        if "requestBody" in link:
            content = target.spec["requestBody"]["content"]["application/json"]
            schema = schemas[content["schema"]["$ref"].rpartition("/")[2]]
            assert set(schema["required"]) <= link["requestBody"].keys(), name
            assert link["requestBody"].keys() <= schema["properties"].keys(), name


def test_every_operation_on_a_thing_is_linked_to(document):
    linked = {link["operationId"] for link in document["components"]["links"].values()}
    ours = [o for o in operations_of(document) if o.path.startswith(PREFIX)]
    assert {o.id for o in ours if o.parameters("path")} <= linked


def test_no_link_is_kept_that_no_answer_has(document):
    used = {
        link["$ref"].removeprefix(COMPONENT)
        for operation in operations_of(document)
        for response in operation.spec["responses"].values()
        for link in response.get("links", {}).values()
    }
    assert used == document["components"]["links"].keys()


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("create_model", {"get_model", "change_model", "delete_model", "create_version"}),
        ("create_inference_service", {"create_traffic_config", "list_traffic_configs"}),
        ("create_traffic_config", {"add_variant", "set_weights", "roll_back", "start_rollout"}),
        ("get_traffic_config", {"promote_variant", "delete_variant", "list_operations"}),
        ("start_rollout", {"rollout_events", "rollout_evidence", *Action}),
        ("list_rollouts", {"get_rollout", "get_traffic_config"}),
    ],
)
def test_what_was_made_or_shown_leads_to_what_can_be_done_with_it(document, source, targets):
    operation = next(o for o in operations_of(document) if o.id == source)
    status = next(s for s in ("201", "200") if operation.spec["responses"].get(s, {}).get("links"))
    assert targets <= {name for name, _ in links_of(document, operation, status)}


async def test_the_walk_through_the_api_leaves_no_operation_out(http, document):
    assert missed(await toured(http, document), document) == set()


async def test_what_a_link_takes_from_a_real_answer_is_there(http, document):
    recorder = await toured(http, document)
    resolved, unresolved = set(), set()
    for operation, answer in recorder.answers:
        for name, link in links_of(document, operation, answer.status_code):
            values = {**link["parameters"], **link.get("requestBody", {})}
            for parameter, expression in values.items():
                try:
                    assert evaluated(expression, operation, answer)
                    resolved.add((operation.id, name, parameter))
                except LookupError:
                    assert parameter in MAY_BE_ABSENT, (operation.id, name, expression)
                    unresolved.add((operation.id, name, parameter))
    assert {source for source, *_ in unresolved - resolved} <= BARE


async def test_a_link_to_a_look_can_be_followed(api, document):
    ids = await api.served()
    operations = {o.id: o for o in operations_of(document)}
    shown = operations["get_traffic_config"]
    await api.post(f"/traffic_configs/{ids['config']}/canary", {"model_version_id": ids["v2"]})
    answer = await api.get(f"/traffic_configs/{ids['config']}")
    for name, link in links_of(document, shown, 200):
        target = operations[name]
        if target.method != "GET":
            continue
        values = {n: evaluated(e, shown, answer) for n, e in link["parameters"].items()}
        path = target.path.removeprefix(PREFIX).format_map(values)
        query = {n: v for n, v in values.items() if n in target.parameters("query")}
        assert (await api.get(path, params=query)).status_code == 200, name


async def test_a_409_leads_to_what_is_in_the_way(api, document):
    ids = await api.served()
    rollouts = f"/traffic_configs/{ids['config']}/rollouts"
    await api.made(rollouts, canary(ids["v2"]))
    wish = {"model_version_id": ids["v3"]}
    answer = await api.post(f"/traffic_configs/{ids['config']}/canary", wish)
    busy = next(o for o in operations_of(document) if o.id == "start_canary")
    links = dict(links_of(document, busy, answer.status_code))
    rollout = evaluated(links["get_rollout"]["parameters"]["rollout_id"], busy, answer)
    assert (await api.get(f"/rollouts/{rollout}")).status_code == 200
    assert links["get_operation"]["operationId"] == "get_operation"


def test_every_project_is_handed_on(document):
    for link in document["components"]["links"].values():
        assert link["parameters"]["Project-ID"] == "$request.header.Project-ID"
