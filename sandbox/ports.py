"""Is a TCP port of 127.0.0.1 free, and who holds it if not. Which port is whose: `layout.py`."""

import random
import socket
from contextlib import closing, suppress

import psutil

# Below Linux's range for outgoing connections, so that no client's socket takes a port in between.
_TEST_PORTS = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As servers do: a connection that lingers after its server's end is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """`count` different ports that are free now; nothing reserves them."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_TEST_PORTS)
        if port not in found and is_free(port):
            found.append(port)
    return found


def free_port() -> int:
    return free_ports(1)[0]


def holder(port: int) -> str | None:
    """The process that listens on `port` ("pid 12 (python -m x)"), where the system tells us."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.pid:
                continue
            if connection.laddr and connection.laddr.port == port:
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f"pid {connection.pid} ({command[:120]})"
    return None
