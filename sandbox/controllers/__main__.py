"""`python -m sandbox.controllers`: both controllers in one process, until SIGTERM."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.controllers.both import Settings, run


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings(
        kubeconfig=options.kubeconfig,
        state_dir=options.state_dir,
        xds_dir=options.envoy_xds_dir,
        envoy_admin=options.envoy_admin,
        targets_dir=options.prometheus_targets_dir,
        keep_servers=options.keep_model_servers,
    )
    asyncio.run(_until_signalled(settings))
    return 0


async def _until_signalled(settings: Settings) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    await run(settings, until=asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.controllers", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, required=True, help="records of model servers")
    parser.add_argument("--envoy-xds-dir", type=Path, required=True)
    parser.add_argument("--envoy-admin", required=True, help="http://127.0.0.1:<port>")
    parser.add_argument("--prometheus-targets-dir", type=Path, required=True)
    parser.add_argument(
        "--keep-model-servers",
        action="store_true",
        help="at the end leave the model servers to the next controllers",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
