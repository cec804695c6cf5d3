"""What a measure hands back, and how people and machines read it: terminal, Markdown, JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.samples import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One promise of the project, with what was found in its unit."""

    promise: str
    found: str
    met: bool

    def __str__(self) -> str:
        return f"{'met    ' if self.met else 'NOT MET'}  {self.promise}: {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`raw` holds every measured value as JSON, so that a report can be questioned later."""

    goals: tuple[Goal, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One measure in the report. `result` is None when it broke off, and `trouble` says why."""

    name: str
    title: str
    seconds: float
    load_before: float
    load_after: float
    result: Result | None
    trouble: str = ""


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def spread_row(name: str, seconds: Sequence[float]) -> tuple[str, ...]:
    """A row of milliseconds for `SPREAD_HEAD`."""
    if not seconds:
        return (name, "0", "", "", "", "")
    spread = Spread.of(seconds)
    values = (spread.least, spread.median, spread.p90, spread.most)
    return (name, str(spread.count), *map(milliseconds, values))


SPREAD_HEAD = ("ms", "n", "least", "median", "p90", "most")


def as_text(section: Section) -> str:
    """For a terminal."""
    lines = [f"== {section.name}: {section.title}", f"   {_circumstances(section)}"]
    if section.result is None:
        return "\n".join([*lines, f"   broke off: {section.trouble}", ""])
    for table in section.result.tables:
        lines += ["", f"   {table.caption}", *(f"   {line}" for line in _aligned(table))]
    lines += ["", *(f"   {note}" for note in section.result.notes)]
    lines += [f"   {goal}" for goal in section.result.goals]
    return "\n".join([*lines, ""])


def as_markdown(sections: Iterable[Section], circumstances: Mapping[str, Any]) -> str:
    lines = ["# Benchmark", ""]
    lines += [f"- {name}: {value}" for name, value in circumstances.items()]
    for section in sections:
        lines += ["", f"## {section.name}: {section.title}", "", _circumstances(section)]
        if section.result is None:
            lines += ["", f"Broke off: {section.trouble}"]
            continue
        for table in section.result.tables:
            lines += ["", table.caption, "", *piped(table)]
        lines += ["", *(f"- {note}" for note in section.result.notes)]
        lines += [f"- {goal}" for goal in section.result.goals]
    return "\n".join([*lines, ""])


def write(
    folder: Path, name: str, sections: Sequence[Section], circumstances: Mapping[str, Any]
) -> Path:
    """Write `<name>.json` and `<name>.md`; gives back the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {**circumstances, "measures": [asdict(section) for section in sections]}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1, default=str) + "\n")
    markdown = folder / f"{name}.md"
    markdown.write_text(as_markdown(sections, circumstances))
    return markdown


def _circumstances(section: Section) -> str:
    return (
        f"took {section.seconds:.0f} s; the machine's load was {section.load_before:.2f} before "
        f"and {section.load_after:.2f} after"
    )


def _aligned(table: Table) -> list[str]:
    """Columns side by side: the first to the left, the others to the right."""
    lines = [table.head, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def piped(table: Table) -> list[str]:
    rule = ["---", *("---:" for _ in table.head[1:])]
    return ["| " + " | ".join(line) + " |" for line in (table.head, rule, *table.rows)]
