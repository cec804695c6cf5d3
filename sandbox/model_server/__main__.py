"""`python -m sandbox.model_server`: one model behind one port, until SIGTERM and drained."""

import argparse
import asyncio
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
import uvloop

from sandbox.behaviour import Behaviour, BehaviourError
from sandbox.model_server.application import Application
from sandbox.model_server.model import LoadFailed, Model

HOST = "127.0.0.1"
# Longer than any client keeps an idle connection: were the server first to close one, a request
# sent in the same moment would fail.
_KEEP_ALIVE_SECONDS = 2 * 3600
_BACKLOG = 1024


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        models = {name: Model(Behaviour.parse(uri)) for name, uri in options.mounted}
        first = next(iter(models.values()), None) or Model(Behaviour.parse(options.uri))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(first, models, options))
    except (BehaviourError, LoadFailed) as error:
        print(error, file=sys.stderr, flush=True)
        if options.termination_log:
            options.termination_log.write_text(str(error))
        return 1
    return 0


async def _serve(model: Model, models: dict[str, Model], options: argparse.Namespace) -> None:
    listening = _listening(options)
    host, port = listening.getsockname()
    print(f"{options.name} serves {options.uri} on http://{host}:{port}", flush=True)
    server = uvicorn.Server(
        _config(Application(options.name, model, models, options.served_as), options.drain_seconds)
    )
    load = asyncio.create_task(_load([*models.values()] or [model], server))
    await server.serve(sockets=[listening])
    if load.done():
        load.result()
    load.cancel()


async def _load(models: list[Model], server: uvicorn.Server) -> None:
    """A model that cannot be loaded ends its server, as it does in a real one."""
    try:
        for model in models:
            await model.load()
    finally:
        server.should_exit = not all(model.is_loaded for model in models)


def _config(application: Application, drain_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
    )


def _listening(options: argparse.Namespace) -> socket.socket:
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, options.port))
    return bound


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.model_server", description=__doc__)
    parser.add_argument("--name", required=True, help="the InferenceService it answers as")
    parser.add_argument("--uri", required=True, help="sim://<model>?<parameters>")
    parser.add_argument(
        "--mounted",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "URI"),
        help="a model that is asked for by this name; others are answered by --uri's",
    )
    parser.add_argument("--served-as", default="", help="the name of a predictive model")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    where.add_argument("--fd", type=int, help="a bound socket that the parent hands over")
    parser.add_argument("--drain-seconds", type=int, default=25, help="for requests at SIGTERM")
    parser.add_argument("--termination-log", type=Path, help="gets the reason of a failed load")
    return parser


if __name__ == "__main__":
    sys.exit(main())
