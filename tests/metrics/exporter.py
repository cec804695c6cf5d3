"""A page of metrics that a test writes, scraped by a real store as one target."""

import json
from contextlib import asynccontextmanager

from aiohttp import web

from tests.metrics.servers import serving


class Exporter:
    """`lines` is what the next scrape finds."""

    def __init__(self):
        self.lines = []

    def write(self, series):
        """Have the page show these series, by name with labels."""
        self.lines = [f"{name} {value}" for name, value in series.items()]

    async def page(self, request):
        return web.Response(text="\n".join(self.lines) + "\n")


@asynccontextmanager
async def exporting(server, name):
    """Scraped from the next reading of `server`'s targets on, which takes up to 5 s."""
    exporter = Exporter()
    target = server.targets_dir / f"{name}.json"
    async with serving(exporter.page) as address:
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps([{"targets": [address]}]))
        partial.replace(target)
        try:
            yield exporter
        finally:
            target.unlink()
