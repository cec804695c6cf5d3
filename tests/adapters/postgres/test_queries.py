"""Every query stands up to the schema, and every query is one that is asked."""

import re
from pathlib import Path

import pytest

import adapters.postgres
from adapters.postgres.sql import load

FOLDER = Path(adapters.postgres.__file__).parent
SUBJECTS = sorted(path.stem for path in (FOLDER / "sql").glob("*.sql"))
QUERIES = [(subject, name) for subject in SUBJECTS for name in load(subject)]


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_every_query_prepares_on_the_migrated_schema(subject, database_url, pool):
    async with pool.acquire() as connection:
        for name, query in load(subject).items():
            assert await connection.prepare(query, timeout=5), name


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_query_of_a_file_is_used_and_every_query_used_is_there(subject):
    module = next(
        text
        for text in (path.read_text() for path in FOLDER.glob("*.py"))
        if f'load("{subject}")' in text
    )
    assert set(re.findall(r'_SQL\["(\w+)"\]', module)) == set(load(subject))


@pytest.mark.parametrize(("subject", "name"), QUERIES)
def test_a_query_names_no_parameter_that_it_does_not_take(subject, name):
    query = load(subject)[name]
    comment = " ".join(line for line in query.splitlines() if line.startswith("--"))
    body = "\n".join(line for line in query.splitlines() if not line.startswith("--"))
    taken, named = (set(re.findall(r"\$\d+", text)) for text in (body, comment))
    assert taken == named
