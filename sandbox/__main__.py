"""The sandbox's command line: `python -m sandbox {fetch,up,down,demo,traffic}`."""

import argparse
import asyncio
import signal
import sys

from sandbox.cluster import PortTaken
from sandbox.demo.run import main as demo
from sandbox.fetch import fetch
from sandbox.foreground import down, up
from sandbox.layout import PORT_SETTINGS, Layout, LayoutError
from sandbox.parts import PARTS
from sandbox.process import StartFailed
from sandbox.record import AlreadyRunning
from sandbox.servers.binaries import BinaryMissing
from sandbox.servers.debian import FetchFailed
from sandbox.servers.postgres_place import PlaceError
from sandbox.traffic import traffic

_HIGHEST_RATE = 2000
_INTERRUPTED = 128 + signal.SIGINT
# What a person can mend: told in a sentence, without a traceback.
_TOLD = (
    AlreadyRunning,
    BinaryMissing,
    FetchFailed,
    LayoutError,
    PlaceError,
    PortTaken,
    StartFailed,
)


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return asyncio.run(_run(arguments))
    except _TOLD as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before or after the command had its own way with Ctrl-C
        return _INTERRUPTED


async def _run(arguments: argparse.Namespace) -> int:
    layout = Layout.from_environment()
    match arguments.command:
        case "fetch":
            return await fetch(layout)
        case "up":
            return await up(layout, arguments.only)
        case "down":
            return await down(layout)
        case "traffic":
            return await traffic(layout, arguments.rate)
        case _:
            return await demo(layout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="The laptop-sized cluster: real servers and a Kubernetes stand-in.",
        epilog=_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("fetch", help="get everything that needs the network, once")
    up = commands.add_parser("up", help="start the cluster and stay until Ctrl-C or `down`")
    up.add_argument(
        "--only",
        action="append",
        choices=list(PARTS),
        help="start this part and no other; give it again for several",
    )
    commands.add_parser("down", help="stop the cluster of this home, from any terminal")
    commands.add_parser("demo", help="three canaries: one promoted, two rolled back")
    load = commands.add_parser("traffic", help="send requests through the gateway until Ctrl-C")
    load.add_argument("--rate", type=_rate, default=100, help="requests a second (default 100)")
    return parser


def _rate(given: str) -> float:
    """A rate that one process can hold."""
    rate = float(given)
    if not 1 <= rate <= _HIGHEST_RATE:
        raise argparse.ArgumentTypeError(f"must be from 1 to {_HIGHEST_RATE}, not {given}")
    return rate


def _settings() -> str:
    others = {
        "TIDEGATE_HOME": "where state is kept (default .tidegate)",
        "TIDEGATE_PROMETHEUS_BIN": "a Prometheus server to use",
        "PG_BIN_DIR": "a folder with PostgreSQL's initdb and postgres",
    }
    ports = {one.variable: f"(default {one.default})" for one in PORT_SETTINGS.values()}
    lines = [f"  {name:<32} {purpose}" for name, purpose in (others | ports).items()]
    return "\n".join(["settings (environment variables):", *lines])


if __name__ == "__main__":
    sys.exit(main())
