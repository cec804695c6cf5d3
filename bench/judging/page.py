"""The page that shows the figures: the bench writes between its marks and touches nothing else."""

from collections.abc import Sequence
from pathlib import Path

from bench.report import Goal, Table, piped


def block(tables: Sequence[Table], goals: Sequence[Goal], about: str) -> str:
    """Markdown of what was measured: about the run, the tables, the goals."""
    lines = [about]
    for table in tables:
        lines += ["", table.caption, "", *piped(table)]
    found = Table(
        caption="",
        head=("goal", "found", "met"),
        rows=tuple((each.promise, each.found, "yes" if each.met else "no") for each in goals),
    )
    return "\n".join([*lines, "", *piped(found)])


def filled(text: str, name: str, content: str) -> str:
    """The page with the block of that name replaced. Raises ValueError where it has none."""
    opening, closing = f"<!-- bench-judge {name} -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(opening)
    _, ended, after = rest.partition(closing)
    if not (found and ended):
        raise ValueError(f"the page has no block from {opening!r} to {closing!r}")
    return f"{before}{opening}\n\n{content}\n\n{closing}{after}"


def fill(path: Path, blocks: dict[str, str]) -> None:
    text = path.read_text()
    for name, content in blocks.items():
        text = filled(text, name, content)
    path.write_text(text)
