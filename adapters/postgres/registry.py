"""The whole registry, as the API needs it: the port in one class. The chores likewise."""

import asyncpg

from adapters.postgres.catalog import Catalog
from adapters.postgres.operations import Operations, RunningOperations
from adapters.postgres.rollouts import Rollouts
from adapters.postgres.services import Services
from adapters.postgres.traffic import DueConfigs, Traffic
from adapters.postgres.virtual_models import VirtualModels


class PostgresRegistry(Catalog, Services, Traffic, VirtualModels, Operations, Rollouts):
    """Implements `domain.ports.Registry`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        Catalog.__init__(self, pool)
        Rollouts.__init__(self, pool)


class PostgresChores(RunningOperations, DueConfigs):
    """Implements `domain.ports.Chores`."""
