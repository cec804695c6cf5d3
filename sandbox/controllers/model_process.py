"""One model server process: started here, or found again after a restart of the controllers."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from sandbox.controllers.cluster import Key
from sandbox.family import Identity
from sandbox.layout import HOST, PROJECT
from sandbox.probe import http_status

_POLL_SECONDS = 0.1
_OK = 200


Seat = tuple[Key, int]
"""An InferenceService and one of its replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to run. `uid` tells an InferenceService from a later one of the same name.

    Of several models, `mount` and `uri` are the first one's, `others` has the rest in pairs.
    `served_as` is the name that a predictive model is asked for by, where it is not its own. Each
    replica is a launch of its own, counted from 0.
    """

    namespace: str
    name: str
    uid: str
    uri: str
    mount: str = ""
    others: tuple[tuple[str, str], ...] = ()
    served_as: str = ""
    replica: int = 0

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    @property
    def seat(self) -> Seat:
        return self.key, self.replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended. The code is None when it was not our child; a kubelet would say 0."""

    code: int | None
    message: str


class ModelProcess:
    """A running server; the file beside its logs lets a later controller find it again."""

    def __init__(
        self,
        launch: Launch,
        port: int,
        record: Path,
        process: psutil.Process | subprocess.Popen[Any],
    ) -> None:
        self.launch = launch
        self.port = port
        self._record = record
        self._process = process

    @classmethod
    def start(cls, launch: Launch, state_dir: Path) -> Self:
        """Spawns a server on a port that is bound here, so that nobody can take it before."""
        state_dir.mkdir(parents=True, exist_ok=True)
        record = state_dir / f"{launch.namespace}.{launch.name}.{os.urandom(4).hex()}.json"
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
            listening.bind((HOST, 0))
            port = listening.getsockname()[1]
            command = [sys.executable, "-m", "sandbox.model_server", *_arguments(launch)]
            command += ["--fd", str(listening.fileno())]
            command += ["--termination-log", str(_termination_log(record))]
            with _log_file(state_dir, launch).open("ab") as log:
                child = subprocess.Popen(
                    command,
                    cwd=PROJECT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(listening.fileno(),),
                    start_new_session=True,
                )
        # What the system tells of a command may still be empty, so soon after its start.
        started = psutil.Process(child.pid).create_time()
        identity = Identity(pid=child.pid, started=started, command=tuple(command))
        document = {"launch": asdict(launch), "port": port, "process": asdict(identity)}
        _replace(record, json.dumps(document))
        return cls(launch, port, record, child)

    @classmethod
    def adopt(cls, record: Path) -> Self | None:
        """The server that `record` tells of, None (and the record gone) when it does not run."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads(record.read_text())
            known = document["launch"]
            others = tuple((mount, uri) for mount, uri in known.pop("others", ()))
            launch = Launch(**known, others=others)
            known = document["process"]
            identity = Identity(
                pid=known["pid"], started=known["started"], command=tuple(known["command"])
            )
            process = identity.find()
            if process is not None:
                return cls(launch, document["port"], record, process)
        _forget(record)
        return None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def exited(self) -> Exit:
        """Waits for the end of the process and forgets it."""
        await _gone(self._process)
        code = self._process.poll() if isinstance(self._process, subprocess.Popen) else None
        log = _termination_log(self._record)
        try:
            message = log.read_text()
        except OSError:
            message = f"the model server was ended by signal {-code}" if code and code < 0 else ""
        _forget(self._record)
        return Exit(code=code, message=message)

    async def is_healthy(self) -> bool:
        return await http_status(f"http://{HOST}:{self.port}/health") == _OK

    def send(self, number: signal.Signals) -> None:
        """To this process only; nothing happens when it is gone."""
        if isinstance(self._process, subprocess.Popen):
            self._process.send_signal(number)
        else:
            with suppress(psutil.NoSuchProcess):
                self._process.send_signal(number)


def _arguments(launch: Launch) -> list[str]:
    arguments = ["--name", launch.name, "--uri", launch.uri]
    arguments += ["--served-as", launch.served_as] if launch.served_as else []
    for mount, uri in ((launch.mount, launch.uri), *launch.others) if launch.mount else ():
        arguments += ["--mounted", mount, uri]
    return arguments


async def _gone(process: psutil.Process | subprocess.Popen[Any]) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # no such call here, or the process has ended and is reaped
        while _runs(process):  # noqa: ASYNC110 - nothing tells us of a stranger's end
            await asyncio.sleep(_POLL_SECONDS)
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _runs(process: psutil.Process | subprocess.Popen[Any]) -> bool:
    if isinstance(process, subprocess.Popen):
        return process.poll() is None
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _log_file(state_dir: Path, launch: Launch) -> Path:
    return state_dir / f"{launch.namespace}.{launch.name}.log"


def _termination_log(record: Path) -> Path:
    return record.with_suffix(".termination")


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".partial")
    draft.write_text(text)
    draft.replace(path)


def _forget(record: Path) -> None:
    record.unlink(missing_ok=True)
    _termination_log(record).unlink(missing_ok=True)
