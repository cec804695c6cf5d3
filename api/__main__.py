"""`python -m api` serves the API; `python -m api openapi` prints its OpenAPI document."""

import json
import os
import signal
import sys

import uvicorn

from api.app import create_app
from bootstrap.settings import SettingsError, read_settings
from bootstrap.telemetry import log_to_stderr

STOP_WITHIN_SECONDS = 5
_USAGE = "usage: python -m api [openapi]"
_BAD_USAGE = 2


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            return _serve()
        case ["openapi"]:
            json.dump(create_app().openapi(), sys.stdout, indent=2)
            sys.stdout.write("\n")
            return 0
        case _:
            sys.stderr.write(f"{_USAGE}\n")
            return _BAD_USAGE


def _serve() -> int:
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.stderr.write(f"tidegate api: {error}\n")
        return _BAD_USAGE
    log_to_stderr(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops on them, and then raises them again for whoever asked before it.
        signal.signal(number, lambda *_: None)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            access_log=False,
            server_header=False,
            # Event streams never end by themselves; their clients come back.
            timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
        )
    )
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's client can crash the interpreter while it winds down.
    os._exit(code)
