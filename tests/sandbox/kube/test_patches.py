"""The patch formats by themselves: RFC 7386, RFC 6902 and the strategic merge patch."""

import pytest

from sandbox.kube.patches import merge_patched, strategic_patched
from sandbox.kube.status import ApiError

KEYED = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name", "other"],
    "items": {"properties": {"inner": {"x-kubernetes-list-type": "set"}}},
}
SCHEMA = {"properties": {"keyed": KEYED, "set": {"x-kubernetes-list-type": "set"}}}


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_a_merge_patch_follows_the_examples_of_its_rfc(document, patch, expected):
    assert merge_patched(document, patch) == expected


def test_a_merge_patch_leaves_the_original_alone():
    document = {"a": {"b": 1}}

    merge_patched(document, {"a": {"b": 2}})

    assert document == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"plain": [1]}, {"plain": [2]}, {"plain": [2]}),
        ({"set": ["a"]}, {"set": ["b", "a"]}, {"set": ["a", "b"]}),
        ({"set": ["a", "b"]}, {"$deleteFromPrimitiveList/set": ["a"]}, {"set": ["b"]}),
        (
            {"keyed": [{"name": "a", "x": 1}]},
            {"keyed": [{"name": "a", "y": 2}, {"name": "b"}]},
            {"keyed": [{"name": "a", "x": 1, "y": 2}, {"name": "b"}]},
        ),
        (
            {"keyed": [{"name": "a"}, {"name": "b"}]},
            {"keyed": [{"name": "a", "$patch": "delete"}], "$setElementOrder/keyed": []},
            {"keyed": [{"name": "b"}]},
        ),
        (
            {"keyed": [{"name": "a"}]},
            {"keyed": [{"$patch": "replace"}, {"name": "b"}]},
            {"keyed": [{"name": "b"}]},
        ),
        (
            {"keyed": [{"name": "a", "inner": ["x"]}]},
            {"keyed": [{"name": "a", "inner": ["y"]}]},
            {"keyed": [{"name": "a", "inner": ["x", "y"]}]},
        ),
        ({"a": {"x": 1}}, {"a": {"$patch": "replace", "y": 2}}, {"a": {"y": 2}}),
        ({"a": {"x": 1}, "b": 1}, {"a": {"$patch": "delete"}}, {"b": 1}),
        ({"a": {"x": 1, "y": 1}}, {"a": {"$retainKeys": ["x"], "x": 2}}, {"a": {"x": 2}}),
        ({"a": 1}, {"a": None, "b": None}, {}),
    ],
)
def test_a_strategic_merge_patch_knows_its_lists_and_directives(document, patch, expected):
    assert strategic_patched(document, patch, SCHEMA) == expected


def test_an_item_that_is_no_object_is_refused():
    with pytest.raises(ApiError, match="must be objects"):
        strategic_patched({}, {"keyed": ["a"]}, SCHEMA)


def test_an_item_without_its_merge_key_is_refused():
    with pytest.raises(ApiError, match="does not contain declared merge key: name"):
        strategic_patched({}, {"keyed": [{"x": 1}]}, SCHEMA)
