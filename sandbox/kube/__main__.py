"""`python -m sandbox.kube`: the Kubernetes API stand-in as a process of its own."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from sandbox.kube.server import serving
from sandbox.kube.state_file import StateFileUnusable


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    wanted = _arguments()
    try:
        asyncio.run(_serve(wanted.port, wanted.state_file, wanted.kubeconfig))
    except (OSError, StateFileUnusable) as failure:
        print(f"kubernetes api: {failure}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.kube", description=__doc__)
    parser.add_argument("--port", type=int, default=6443, help="loopback port; 0 takes a free one")
    parser.add_argument("--state-file", type=Path, help="SQLite file; without it all is forgotten")
    parser.add_argument("--kubeconfig", type=Path, help="where to write one for this server")
    return parser.parse_args()


async def _serve(port: int, state_file: Path | None, kubeconfig: Path | None) -> None:
    """Serve until SIGTERM or SIGINT. The ready line is printed once calls are answered."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with serving(state_file=state_file, port=port) as server:
        if kubeconfig is not None:
            server.write_kubeconfig(kubeconfig)
        print(f"kubernetes api ready on {server.url}", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    sys.exit(main())
