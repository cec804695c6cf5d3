"""Reading objects of odd shape."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.kubernetes.documents import (
    conditions,
    covers,
    last_other_manager,
    mapping,
    mappings,
    moment,
    owns,
    text,
    whole,
)

# How long it takes says something about the machine only.
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
words = st.sampled_from(["", "metadata", "conditions", "fieldsV1", "f:spec", "type", "ü", "7"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(
    st.sampled_from(["metadata", "status", "conditions", "managedFields"]), json_values
)


@given(objects)
@patiently
def test_no_shape_makes_a_reader_fail(found):
    mapping(found, "metadata", "a")
    mappings(found, "status", "conditions")
    text(found, "metadata", "a")
    whole(found, "metadata", "a")
    conditions(found)
    owns(found, "tidegate", "spec", "rules")
    last_other_manager(found, "spec", "rules")


@given(json_values)
@patiently
def test_everything_covers_itself(value):
    assert covers(value, value)


def test_defaults_of_the_server_do_not_matter_but_lengths_do():
    wanted = {"refs": [{"name": "a"}]}
    assert covers({"refs": [{"name": "a", "weight": 1}], "more": 1}, wanted)
    assert not covers({"refs": [{"name": "a"}, {"name": "b"}]}, wanted)
    assert not covers({"refs": [{"name": "b"}]}, wanted)
    assert not covers({"refs": {"name": "a"}}, wanted)


def test_a_condition_is_found_by_its_type_wherever_it_stands():
    stated = conditions(
        {"conditions": [{"type": "Other", "status": "True"}, {"type": "Ready", "status": "False"}]}
    )
    assert not stated["Ready"].holds
    assert str(stated["Ready"]) == "Ready is False"


def test_the_newest_other_owner_of_a_field_is_named():
    def entry(manager, time, *, rules=True):
        field = "f:rules" if rules else "f:parentRefs"
        return {"manager": manager, "time": time, "fieldsV1": {"f:spec": {field: {}}}}

    managed = [
        entry("old", "2026-11-22T08:00:00Z"),
        entry("tidegate", "2026-11-22T09:30:00Z"),
        entry("kubectl-edit", "2026-11-22T09:00:00Z"),
        entry("elsewhere", "2026-11-22T10:00:00Z", rules=False),
    ]
    found = {"metadata": {"managedFields": managed}}
    assert last_other_manager(found, "spec", "rules") == "kubectl-edit"
    assert owns(found, "tidegate", "spec", "rules")
    assert not owns(found, "elsewhere", "spec", "rules")


def test_times_are_read_with_their_zone():
    assert moment("2026-11-22T08:00:00Z") == moment("2026-11-22T09:00:00+01:00")
    assert moment("yesterday") is None
    assert moment("") is None
