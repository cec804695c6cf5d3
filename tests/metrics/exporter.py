"""A page of metrics that a test writes, scraped by a real store as one target."""

import json
from contextlib import asynccontextmanager

from aiohttp import web

from tests.metrics.servers import serving


class Exporter:
    """`series` is what the next scrape finds: values by name with labels."""

    def __init__(self):
        self.series = {}

    def write(self, series):
        """Have the page show these, too, or with these values."""
        self.series |= series

    async def page(self, request):
        lines = [f"{name} {value}" for name, value in self.series.items()]
        return web.Response(text="\n".join(lines) + "\n")


@asynccontextmanager
async def exporting(targets_dir, name):
    """Scraped from the next reading of a store's targets on, which takes up to 5 s."""
    exporter = Exporter()
    target = targets_dir / f"{name}.json"
    async with serving(exporter.page) as address:
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps([{"targets": [address]}]))
        partial.replace(target)
        try:
            yield exporter
        finally:
            target.unlink()
