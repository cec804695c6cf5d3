"""Server-side apply as rules that hold for any object and any number of managers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube.fieldsets import from_fields_v1, to_fields_v1
from sandbox.kube.ownership import Manager, Operation, Writer, apply, read_holdings, record_update
from sandbox.kube.status import ApiError
from sandbox.kube.structure import applied_fields, compared, merged, parts, without

SCHEMA = {
    "properties": {
        "spec": {
            "properties": {
                "declared": {"properties": {"x": {}, "y": {}}},
                "whole": {"x-kubernetes-map-type": "atomic"},
                "set": {"x-kubernetes-list-type": "set"},
                "keyed": {
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {"properties": {"name": {}, "value": {}}},
                },
            }
        }
    }
}
BLANK = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a", "uid": "u"}}

names = st.sampled_from("abc")
scalars = st.integers(0, 2) | st.sampled_from(["", "text"]) | st.booleans()
trees = st.recursive(
    scalars | st.lists(scalars, max_size=2),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
items = st.builds(lambda name, value: {"name": name, "value": value}, names, scalars)
specs = st.fixed_dictionaries(
    {},
    optional={
        "declared": st.fixed_dictionaries({}, optional={"x": trees, "y": scalars}),
        "whole": st.dictionaries(names, scalars, max_size=2),
        "set": st.lists(names, unique=True, max_size=3),
        "keyed": st.lists(items, unique_by=lambda item: item["name"], max_size=3),
        "free": trees,
    },
)
labels = st.dictionaries(names, st.sampled_from(["x", "y"]), max_size=2)
configs = st.builds(
    lambda spec, labels: {**BLANK, "metadata": {"labels": labels}, "spec": spec}, specs, labels
)


def writer(name, operation=Operation.APPLY):
    manager = Manager(name=name, operation=operation, api_version="v1")
    return Writer(manager=manager, schema=SCHEMA, has_status_endpoint=True)


def applied(live, name, config, *, force=True):
    return apply(live, config, writer=writer(name), force=force)


def content(document):
    """What the clients of an object say: all but what the server keeps with it."""
    metadata = {"labels": document["metadata"].get("labels", {})}
    return {"metadata": metadata, "spec": document.get("spec", {})}


def owners(document):
    return {one.name: held.fields for one, held in read_holdings(document).items()}


@given(configs)
def test_applying_twice_changes_nothing(config):
    once = applied(BLANK, "one", config)

    again = applied(once, "one", config)

    assert content(again) == content(once)
    assert owners(again) == owners(once)


@given(configs, configs)
def test_the_last_applied_configuration_of_a_single_manager_is_the_object(first, second):
    """Only what is empty may differ: a container that loses all it held goes with it."""
    both = applied(applied(BLANK, "one", first), "one", second)

    assert owners(both) == owners(applied(BLANK, "one", second))
    assert stated(content(both)) == stated(content(second))


@given(configs, configs)
def test_what_a_manager_applies_stands_in_the_object(first, second):
    both = applied(applied(BLANK, "one", first), "two", second)

    assert owners(both).get("two", frozenset()) == owned_fields(second)
    assert not compared(
        content(both), merged(content(both), content(second), SCHEMA), SCHEMA
    ).changed


@given(configs)
def test_two_managers_share_equal_fields_without_a_conflict(config):
    both = applied(applied(BLANK, "one", config), "two", config, force=False)

    assert content(both) == content(applied(BLANK, "one", config))
    held = owners(both)
    assert held.get("one") == held.get("two")


@given(trees, trees)
def test_two_managers_with_fields_apart_never_conflict(left, right):
    first = {**BLANK, "spec": {"left": {"inner": left}}}
    second = {**BLANK, "spec": {"right": {"inner": right}}}

    one_way = applied(applied(BLANK, "one", first), "two", second, force=False)
    other_way = applied(applied(BLANK, "two", second), "one", first, force=False)

    assert content(one_way) == content(other_way)
    assert one_way["spec"] == {"left": {"inner": left}, "right": {"inner": right}}


@given(trees, trees)
def test_a_field_goes_when_its_last_owner_drops_it(value, other):
    shared = {**BLANK, "spec": {"shared": value, "declared": {"y": 1}}}
    without_shared = {**BLANK, "spec": {"declared": {"y": 1}}}
    both = applied(applied(BLANK, "one", shared), "two", shared)

    first_drops = applied(both, "one", without_shared)
    second_drops = applied(first_drops, "two", without_shared)

    assert first_drops["spec"]["shared"] == value
    assert "shared" not in second_drops["spec"]


@given(configs, configs)
def test_a_manager_that_applies_nothing_leaves_the_others_alone(first, second):
    alone = applied(BLANK, "one", first)
    joined = applied(alone, "two", second)

    left = applied(joined, "two", BLANK)

    assert "two" not in owners(left)
    assert owners(left).get("one") == owners(joined).get("one")


@given(configs, configs)
def test_a_conflict_is_exactly_a_change_of_what_another_owns(first, second):
    live = applied(BLANK, "one", first)
    change = compared(content(live), content(applied(live, "two", second)), SCHEMA)
    contested = owners(live).get("one", frozenset()) & change.changed

    if not contested:
        applied(live, "two", second, force=False)
        return
    with pytest.raises(ApiError) as refused:
        applied(live, "two", second, force=False)
    assert refused.value.details is not None
    assert len(refused.value.details["causes"]) == len(contested)


@given(configs, configs)
def test_a_forced_apply_leaves_contested_fields_with_one_owner(first, second):
    live = applied(BLANK, "one", first)
    both = applied(live, "two", second)
    change = compared(content(live), content(both), SCHEMA)

    held = owners(both)
    contested = change.changed & held.get("two", frozenset())
    assert not contested & held.get("one", frozenset())


@given(configs, configs)
def test_an_update_owns_exactly_what_it_changed(first, second):
    update = writer("two", Operation.UPDATE)
    live = applied(BLANK, "one", first)

    changed = record_update(live, second, writer=update)

    change = compared(update.ownable(live), update.ownable(second), SCHEMA)
    held = owners(changed)
    assert held.get("two", frozenset()) == change.changed - {("f:metadata",)}
    assert not held.get("one", frozenset()) & (change.changed | change.removed)


@given(configs, configs)
def test_an_updater_keeps_what_it_changed_before_and_is_still_there(first, second):
    update = writer("one", Operation.UPDATE)
    once = record_update(BLANK, {**first, "metadata": BLANK["metadata"]}, writer=update)

    twice = record_update(once, second, writer=update)

    change = compared(update.ownable(once), update.ownable(second), SCHEMA)
    kept = owners(once).get("one", frozenset()) - change.removed
    assert owners(twice).get("one", frozenset()) >= kept


@given(configs, configs)
def test_no_field_is_owned_that_is_not_there(first, second):
    both = applied(applied(BLANK, "one", first), "two", second)

    for fields in owners(both).values():
        for path in fields:
            assert exists(content(both), SCHEMA, path)


@given(configs)
def test_owned_fields_are_read_back_as_they_were_written(config):
    fields = applied_fields(content(config), SCHEMA)

    assert from_fields_v1(to_fields_v1(fields)) == fields


@given(configs, configs)
def test_a_comparison_tells_how_to_get_from_one_to_the_other(old, new):
    change = compared(content(old), content(new), SCHEMA)

    kept = without(content(old), SCHEMA, change.removed)
    reached = merged(kept, content(new), SCHEMA)

    assert stated(reached) == stated(content(new))


def owned_fields(config):
    return applied_fields(writer("x").ownable(config), SCHEMA)


def stated(value):
    """A value as what it states: lists with keys and sets have no order of their own."""
    spec = dict(value["spec"])
    if "keyed" in spec:
        spec["keyed"] = sorted(spec["keyed"], key=lambda item: item["name"])
    if "set" in spec:
        spec["set"] = sorted(spec["set"])
    return {**value, "spec": spec}


def exists(value, schema, path):
    for element in path:
        found = (parts(value, schema) or {}).get(element)
        if found is None:
            return False
        value, schema = found.value, found.schema
    return True
