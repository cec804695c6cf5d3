"""docs/settings.md names every variable and no other, with its default."""

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from bootstrap.settings import PREFIX, Settings
from sandbox.layout import PORT_SETTINGS
from tests.docs.pages import ROOT, page, section, tables

TEXT = page("settings")
# What the sandbox's processes tell each other; nobody sets it.
INTERNAL = {"TIDEGATE_SANDBOX_MARK"}


def told(heading):
    (table,) = tables(section(TEXT, heading))
    return {row[0]: row[1] for row in table}


def default_of(info):
    if info.default is PydanticUndefined:
        return "required"
    return "none" if info.default is None else str(info.default)


def test_every_setting_of_the_two_processes_is_told_with_its_default():
    assert told("The worker and the API") == {
        f"{PREFIX}{name.upper()}": default_of(info) for name, info in Settings.model_fields.items()
    }


def test_every_variable_of_the_sandbox_is_told():
    read = {
        name
        for path in (ROOT / "sandbox").rglob("*.py")
        for name in re.findall(r"\bTIDEGATE_[A-Z_]*[A-Z]\b", path.read_text())
    }
    others = set(told("The worker and the API")) | INTERNAL
    assert set(told("The sandbox")) == (read - others) | {
        one.variable for one in PORT_SETTINGS.values()
    }


def test_the_sandbox_s_ports_are_told_with_their_defaults():
    ports = {one.variable: str(one.default) for one in PORT_SETTINGS.values()}
    assert ports.items() <= told("The sandbox").items()


def test_no_page_names_a_variable_that_is_not_told_here():
    pages = [*Path(ROOT / "docs").glob("*.md"), ROOT / "deploy" / "README.md"]
    named = {
        one for path in pages for one in re.findall(r"\bTIDEGATE_[A-Z_]*[A-Z]\b", path.read_text())
    }
    assert named <= set(told("The worker and the API")) | set(told("The sandbox"))
