"""The HTTP application around whatever parts it is given: routes, problems, meters, OpenAPI."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from api import contract, problems
from api.limits import Limited
from api.meters import Metered, Meters
from api.parts import Parts
from api.routes import (
    analysis,
    commands,
    environments,
    events,
    fleet,
    gate_templates,
    health,
    metrics,
    models,
    operations,
    rollouts,
    services,
    traffic,
    variants,
    virtual_models,
)

_ROUTERS = (
    models.router,
    environments.router,
    services.router,
    traffic.router,
    variants.router,
    operations.router,
    virtual_models.router,
    rollouts.router,
    analysis.router,
    fleet.router,
    gate_templates.router,
    commands.router,
    events.router,
    metrics.router,
    health.router,
)


def assemble(open_parts: Callable[[], AbstractAsyncContextManager[Parts]]) -> FastAPI:
    """An application that opens its parts when it starts and closes them when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_parts() as parts:
            app.state.parts = parts
            yield

    # Its documentation page needs nothing from the network: clusters are often closed.
    app = FastAPIOffline(
        title=contract.TITLE,
        version=contract.VERSION,
        summary=contract.SUMMARY,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.meters = Meters()
    app.openapi = partial(contract.document, app)  # type: ignore[method-assign] # FastAPI's way
    problems.install(app, _methods_at)
    app.add_middleware(Limited)
    app.add_middleware(Metered, meters=app.state.meters)
    for router in _ROUTERS:
        app.include_router(router)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _methods_at(path: str) -> frozenset[str]:
    """The methods of every route that this path matches."""
    routes = (route for router in _ROUTERS for route in router.routes)
    found = (r.methods for r in routes if isinstance(r, APIRoute) and r.path_regex.match(path))
    return frozenset().union(*(methods or () for methods in found))
