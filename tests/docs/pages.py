"""Reads the pages: their code blocks, their tables, their commands."""

import re
import shlex
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "deploy" / "README.md"]
# Written for engineers from sources of their own; not held to what is said here.
NAMES = (
    *("rollouts", "blue-green", "shadow", "traffic", "gates", "registry", "metrics"),
    *("settings", "runbook", "fleet", "analysis"),
    "gate-templates",
)
OPERATORS = [ROOT / "docs" / f"{name}.md" for name in NAMES]
OPERATORS.append(ROOT / "deploy" / "README.md")


def page(name):
    return (ROOT / "docs" / f"{name}.md").read_text()


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def search(pattern, text):
    """The groups of the first match in a text whose line breaks mean nothing."""
    found = re.search(pattern, " ".join(text.split()))
    assert found, f"nothing like {pattern!r}"
    return found.groups()


def section(text, heading):
    """What stands under a heading, up to the next one of any level."""
    found = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found, f"no heading {heading!r}"
    return found[1]


def tables(text):
    """Each table as a list of rows; a row is the texts of its cells without the marks of code."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            found.append([[_bare(cell) for cell in row] for row in rows[2:]])
            rows = []
    return found


def _bare(cell):
    whole = re.fullmatch(r"`([^`]*)`", cell)
    return whole[1] if whole else cell


def commands(program):
    """Every call of a program on the operators' pages, as words; $VARIABLES stay as they are."""
    calls = [
        words
        for path in OPERATORS
        for block in blocks(path.read_text(), "sh")
        for words in _calls(block)
    ]
    return [words for words in calls if words[0] == program]


def _calls(block):
    """A call goes on to the next line behind a backslash and in open quotes."""
    pending = ""
    for line in block.replace("\\\n", " ").splitlines():
        pending += f"{line}\n"
        with suppress(ValueError):
            yield shlex.split(pending)
            pending = ""
    assert not pending


def option(words, name, default=None):
    return words[words.index(name) + 1] if name in words else default
