"""The whole registry, as the API needs it: the port in one class."""

import asyncpg

from adapters.postgres.catalog import Catalog
from adapters.postgres.rollouts import Rollouts
from adapters.postgres.services import Services
from adapters.postgres.traffic import Traffic


class PostgresRegistry(Catalog, Services, Traffic, Rollouts):
    """Implements `domain.ports.Registry`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        Catalog.__init__(self, pool)
        Rollouts.__init__(self, pool)
