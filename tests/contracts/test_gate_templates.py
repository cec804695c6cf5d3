"""The port GateTemplates: versions that never change, and names that never meet."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import Conflict, NotFound
from domain.gate_templates.pins import TemplateScope
from domain.ports import Page
from tests.gate_templates import LIMIT, a_content, a_template, an_argument
from tests.projects import NOW

ALL = Page(limit=50, offset=0)
GATE = {"name": "errors", "metric": "error_rate", "limit": 0.03}
LATER = timedelta(hours=1)


@pytest.fixture(params=["project", "global"])
def owner(request):
    return uuid4() if request.param == "project" else None


async def test_a_template_comes_back_as_it_was_written(templates, owner):
    kinds = {
        "number": (0.5, 1e20),
        "integer": (3, 2**53),
        "string": ("für", 'a "b" \\ \n'),
        "boolean": (False, True),
        "duration": ("5m", "1h30m"),
    }
    arguments = tuple(
        an_argument(kind, kind, default=default, example=example, description=f"a {kind}")
        for kind, (default, example) in kinds.items()
    )
    gates = ({"z": 1.0, "a": [1, {"b": None}, True], "query": "x{a='{{args.string}}'} > 1e20"},)
    content = a_content(*gates, arguments=arguments, description="what\nfor")
    written = a_template(owner, content=content)
    stored, is_new = await templates.add_version(written)

    assert (stored, is_new) == (written, True)
    found = await templates.template(owner, "slo")
    assert found == written
    assert found.content.canonical == content.canonical
    assert list(found.content.gates[0]) == ["z", "a", "query"]
    assert found.scope is (TemplateScope.PROJECT if owner else TemplateScope.GLOBAL)


async def test_other_content_is_the_next_version_and_the_former_one_stays(templates, owner):
    first, _ = await templates.add_version(a_template(owner))
    second = a_template(owner, after=LATER, content=a_content(GATE, arguments=()))
    stored, is_new = await templates.add_version(second)

    assert (stored.version, stored.id, stored.created_at) == (2, first.id, NOW + LATER)
    assert is_new
    assert await templates.template(owner, "slo") == stored
    assert await templates.template(owner, "slo", 1) == first
    assert await templates.versions(owner, "slo", ALL) == ((stored, first), 2)


async def test_the_same_content_again_makes_no_version(templates, owner):
    first, _ = await templates.add_version(a_template(owner))
    again, is_new = await templates.add_version(a_template(owner, after=LATER))

    assert (again, is_new) == (first, False)
    assert await templates.versions(owner, "slo", ALL) == ((first,), 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (a_content(GATE | {"limit": 1}), a_content(GATE | {"limit": 1.0})),
        (a_content(GATE | {"limit": 1}), a_content(GATE | {"limit": True})),
        (a_content(), a_content(arguments=(LIMIT, an_argument("string", default="")))),
        (a_content(), a_content(description="why")),
    ],
    ids=["point", "boolean", "arguments", "description"],
)
async def test_what_is_written_otherwise_is_other_content(templates, before, after):
    project = uuid4()
    await templates.add_version(a_template(project, content=before))
    _, is_new = await templates.add_version(a_template(project, content=after))
    assert is_new


async def test_content_of_an_older_version_is_a_version_of_its_own(templates):
    project, contents = uuid4(), (a_content(), a_content(GATE), a_content())
    stored = [await templates.add_version(a_template(project, content=c)) for c in contents]
    assert [one.version for one, _ in stored] == [1, 2, 3]


async def test_versions_at_the_same_moment_are_numbered_one_by_one(templates):
    project, limits = uuid4(), [i / 100 for i in range(1, 9)]
    wishes = [a_template(project, content=a_content(GATE | {"limit": one})) for one in limits]
    stored = await asyncio.gather(*(templates.add_version(wish) for wish in wishes))

    assert sorted(one.version for one, _ in stored) == list(range(1, 9))
    assert len({one.id for one, _ in stored}) == 1
    _, total = await templates.versions(project, "slo", ALL)
    assert total == 8


async def test_the_same_content_at_the_same_moment_is_one_version(templates, owner):
    wishes = [a_template(owner) for _ in range(6)]
    stored = await asyncio.gather(*(templates.add_version(wish) for wish in wishes))
    assert [is_new for _, is_new in stored].count(True) == 1
    assert {one.version for one, _ in stored} == {1}


async def test_a_retired_name_is_shown_and_takes_no_version(templates, owner):
    for content in (a_content(), a_content(GATE)):
        await templates.add_version(a_template(owner, content=content))
    await templates.retire(owner, "slo", NOW)
    await templates.retire(owner, "slo", NOW + LATER)

    for version in (None, 1, 2):
        assert (await templates.template(owner, "slo", version)).retired_at == NOW
    ((listed,), _) = await templates.templates(owner, ALL)
    assert listed.retired_at == NOW
    for content in (a_content(), a_content(GATE), a_content(GATE | {"limit": 0.5})):
        with pytest.raises(Conflict, match="'slo' is retired"):
            await templates.add_version(a_template(owner, content=content))


async def test_a_retired_name_is_had_back_with_all_of_its_versions(templates, owner):
    first, _ = await templates.add_version(a_template(owner))
    await templates.retire(owner, "slo", NOW)
    await templates.retire(owner, "slo", None)

    assert await templates.template(owner, "slo", 1) == first
    stored, _ = await templates.add_version(a_template(owner, content=a_content(GATE)))
    assert stored.version == 2


async def test_what_is_not_there_is_said_to_be_so(templates, owner):
    await templates.add_version(a_template(owner))
    for call in (
        templates.template(owner, "other"),
        templates.template(owner, "other", 1),
        templates.versions(owner, "other", ALL),
        templates.retire(owner, "other", NOW),
    ):
        with pytest.raises(NotFound, match="there is no gate template 'other'"):
            await call
    for version in (0, 2, 2**31 - 1):
        with pytest.raises(NotFound, match=f"no version {version}; its latest is 1"):
            await templates.template(owner, "slo", version)


async def test_names_are_listed_by_page_the_newest_first_in_their_latest_version(templates, owner):
    for i, name in enumerate(("a", "b", "c")):
        await templates.add_version(a_template(owner, name, after=i * LATER))
    again = a_template(owner, "a", after=9 * LATER, content=a_content(GATE))
    newest, _ = await templates.add_version(again)

    listed, total = await templates.templates(owner, ALL)
    assert ([one.name for one in listed], total) == (["c", "b", "a"], 3)
    assert listed[-1] == newest
    listed, total = await templates.templates(owner, Page(limit=1, offset=1))
    assert ([one.name for one in listed], total) == (["b"], 3)
    listed, total = await templates.templates(owner, ALL, name="a")
    assert ([one.version for one in listed], total) == ([2], 1)
    assert await templates.templates(owner, Page(limit=5, offset=3)) == ((), 3)


async def test_versions_are_listed_by_page(templates, owner):
    for limit in (0.1, 0.2, 0.3):
        content = a_content(GATE | {"limit": limit})
        await templates.add_version(a_template(owner, content=content))
    listed, total = await templates.versions(owner, "slo", Page(limit=2, offset=1))
    assert ([one.version for one in listed], total) == ([2, 1], 3)


async def test_two_projects_and_what_is_global_never_meet(templates):
    owners = [uuid4(), uuid4(), None]
    limits = {owner: i / 10 for i, owner in enumerate(owners, start=1)}
    for owner, limit in limits.items():
        content = a_content(GATE | {"limit": limit})
        _, is_new = await templates.add_version(a_template(owner, content=content))
        assert is_new
    await templates.retire(owners[0], "slo", NOW)

    for owner, limit in limits.items():
        found = await templates.template(owner, "slo")
        assert found.project_id == owner
        assert found.content.gates[0]["limit"] == limit
        assert found.retired_at == (NOW if owner == owners[0] else None)
        for listed in (
            await templates.templates(owner, ALL),
            await templates.versions(owner, "slo", ALL),
        ):
            assert listed == ((found,), 1)


async def test_a_project_finds_nothing_that_is_global_nor_of_another(templates):
    await templates.add_version(a_template(None))
    await templates.add_version(a_template(uuid4()))
    mine = uuid4()
    for call in (
        templates.template(mine, "slo"),
        templates.versions(mine, "slo", ALL),
        templates.retire(mine, "slo", NOW),
    ):
        with pytest.raises(NotFound):
            await call
    assert await templates.templates(mine, ALL) == ((), 0)
