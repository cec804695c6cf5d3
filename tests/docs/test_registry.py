"""The page on the registry: its states, numbers and refusals are those of the code."""

from api.problems import TABLE
from api.serving import DELETE_PATIENCE
from domain.errors import AlreadyExists, AlreadyRunning, Conflict, InUse
from domain.registry import ServiceState
from domain.serving import MOST_VERSIONS
from tests.docs.pages import page, search, section, tables

NUMBERS = {16: "sixteen"}


def test_every_state_is_told():
    (rows,) = tables(section(page("registry"), "States"))
    assert {row[0] for row in rows} == set(ServiceState)


def test_every_refusal_is_told():
    (rows,) = tables(section(page("registry"), "What a 409 means"))
    kinds = (AlreadyExists, InUse, AlreadyRunning, Conflict)
    assert [row[0] for row in rows] == [TABLE[kind].slug for kind in kinds]


def test_the_numbers_are_those_of_the_code():
    text = page("registry")
    assert search(r"A service serves one to (\w+) versions", text) == (NUMBERS[MOST_VERSIONS],)
    assert search(r"It waits (\d+) seconds", text) == (f"{DELETE_PATIENCE.seconds}",)
