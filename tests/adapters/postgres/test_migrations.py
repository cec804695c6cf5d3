"""The migrations go up from nothing, down again, and up once more."""

import asyncio
import itertools
import re

import asyncpg
import pytest

from sandbox.layout import PROJECT
from sandbox.servers.binaries import script

FOLDER = PROJECT / "migrations"
FILES = sorted(FOLDER.glob("*.sql"))
OUR_TABLES = """
    SELECT table_name, column_name, data_type, is_nullable
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'schema_migrations'
    ORDER BY table_name, ordinal_position
"""
OUR_FUNCTIONS = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
_numbers = itertools.count(1)


@pytest.fixture
async def empty_url(postgres_server):
    name = f"empty_{next(_numbers)}"
    admin = await asyncpg.connect(postgres_server.url("postgres"))
    await admin.execute(f'CREATE DATABASE "{name}"')
    yield postgres_server.url(name)
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


async def dbmate(url: str, verb: str) -> None:
    process = await asyncio.create_subprocess_exec(
        str(script("dbmate")),
        *("--url", f"{url}?sslmode=disable", "--migrations-dir", str(FOLDER)),
        *("--no-dump-schema", verb),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def schema(url: str) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(OUR_TABLES), await connection.fetch(OUR_FUNCTIONS)
    finally:
        await connection.close()


async def test_up_and_down_and_up_again_give_the_same_schema(empty_url):
    await dbmate(empty_url, "up")
    first = await schema(empty_url)
    assert first[0]
    for _ in FILES:
        await dbmate(empty_url, "down")
    assert await schema(empty_url) == ([], [])
    await dbmate(empty_url, "up")
    assert await schema(empty_url) == first


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_both_ways_wait_for_locks_for_a_short_time_only(file):
    parts = re.split(r"^-- migrate:(?:up|down).*\n", file.read_text(), flags=re.MULTILINE)[1:]
    assert len(parts) == 2
    for part in parts:
        assert part.lstrip().startswith("SET LOCAL lock_timeout = ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_name_says_when_it_runs(file):
    assert re.fullmatch(r"\d{14}_(pre|post)_[a-z0-9_]+", file.stem)


async def test_every_table_is_scoped_by_project(pool):
    tables = await pool.fetch(
        """
        SELECT table_name, bool_or(column_name = 'project_id') AS scoped
        FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'schema_migrations'
        GROUP BY table_name
        """
    )
    assert len(tables) >= 10
    assert [row["table_name"] for row in tables if not row["scoped"]] == []


async def test_every_reference_carries_the_project(pool):
    references = await pool.fetch(
        """
        SELECT conname, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace
        """
    )
    assert len(references) >= 10
    for row in references:
        assert "FOREIGN KEY (project_id, " in row["definition"], row["conname"]
