"""The migrations go up from nothing, down again, and up once more."""

import asyncio
import itertools
import re
import shutil
from pathlib import Path

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


async def dbmate(url: str, verb: str, folder: Path = FOLDER) -> None:
    process = await asyncio.create_subprocess_exec(
        str(script("dbmate")),
        *("--url", f"{url}?sslmode=disable", "--migrations-dir", str(folder)),
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


SERVE_MODELS = "20261125090000"
A_SERVICE_OF_OLD = """
    INSERT INTO registered_models VALUES
        ('00000000-0000-4000-8000-00000000000a', $1, 'chat', '', now(), now());
    INSERT INTO model_versions VALUES
        ('00000000-0000-4000-8000-00000000000b', $1, '00000000-0000-4000-8000-00000000000a',
            'v1', 'sim://a', 'sim', NULL, '', now(), now()),
        ('00000000-0000-4000-8000-00000000000c', $1, '00000000-0000-4000-8000-00000000000a',
            'v2', 'sim://b', 'sim', NULL, '', now(), now());
    INSERT INTO serving_environments VALUES
        ('00000000-0000-4000-8000-00000000000d', $1, 'prod', NULL, '', now(), now());
    INSERT INTO inference_services VALUES
        ('00000000-0000-4000-8000-00000000000e', $1, '00000000-0000-4000-8000-00000000000d',
            '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b',
            'chat', 'deployed', 'deployed', '', now(), now());
"""


async def test_the_version_that_a_service_serves_is_kept_both_ways(empty_url, tmp_path):
    project = "'00000000-0000-4000-8000-000000000001'"
    for file in FILES:
        if file.stem < SERVE_MODELS:
            shutil.copy(file, tmp_path)
    await dbmate(empty_url, "up", tmp_path)
    connection = await asyncpg.connect(empty_url)
    await connection.execute(A_SERVICE_OF_OLD.replace("$1", project))
    await dbmate(empty_url, "up")
    served = await connection.fetch("SELECT model_version_id, position FROM serve_model")
    assert [(str(row[0])[-1], row[1]) for row in served] == [("b", 0)]

    await connection.execute("UPDATE serve_model SET position = 1")
    await connection.execute(
        "INSERT INTO serve_model SELECT project_id, id, $1, 0 FROM inference_services",
        "00000000-0000-4000-8000-00000000000c",
    )
    await connection.execute("UPDATE inference_services SET current_state = 'undeploying'")
    for file in reversed(FILES):
        if file.stem >= SERVE_MODELS:
            await dbmate(empty_url, "down")
    row = await connection.fetchrow("SELECT * FROM inference_services")
    assert (str(row["model_version_id"])[-1], row["current_state"]) == ("c", "failed")
    await connection.close()


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
