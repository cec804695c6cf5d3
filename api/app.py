"""The composition root of the HTTP process: the one module of `api` that builds its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api.analyses import Analyses
from api.assembly import assemble
from api.charts import Charts
from api.control import Control
from api.gauges import Gauges
from api.outlooks import Outlooks
from api.parts import Parts, TemporalUI
from api.replays import Replays
from api.reports import Reports
from bootstrap.clients import api_clients
from bootstrap.settings import Settings, read_settings
from bootstrap.telemetry import api_runtime
from domain.allowed_hosts import AllowedHosts
from domain.prices import TokenPrice


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application. Its settings are read, and its servers reached, when it starts.

    Temporal need not be there: reads work without it.
    """

    @asynccontextmanager
    async def parts() -> AsyncIterator[Parts]:
        chosen = settings or read_settings()
        async with api_clients(chosen, api_runtime()) as clients:
            prices = _prices(chosen)
            yield Parts(
                registry=clients.registry,
                fleet=clients.fleet,
                templates=clients.templates,
                control=Control(clients.temporal),
                gateway_namespace=chosen.gateway_namespace,
                temporal_ui=TemporalUI(
                    url=str(chosen.temporal_ui_url), namespace=chosen.temporal_namespace
                ),
                reports=Reports(clients.registry, clients.survey, clients.metrics, prices),
                charts=Charts(clients.evidence, clients.readings),
                evidence=clients.evidence,
                readings=clients.readings,
                analyses=Analyses(
                    Replays(clients.history, clients.metrics),
                    Outlooks(clients.metrics, clients.counters, clients.stable_history),
                ),
                gauges=Gauges(clients.survey, clients.metrics),
                hooks_allowed=chosen.hooks_allowed_hosts or AllowedHosts(),
                prices=prices,
            )

    return assemble(parts)


def _prices(settings: Settings) -> dict[str, TokenPrice]:
    given = settings.token_prices or {}
    return {model: TokenPrice(**price.model_dump()) for model, price in given.items()}
