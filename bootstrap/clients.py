"""Builds what the two processes speak with, and closes it again in reverse order."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig

from adapters.aigateway.router import AIGatewayRouter
from adapters.aigateway.virtual_models import AIGatewayVirtualModels
from adapters.gatewayapi.router import HTTPRouteRouter
from adapters.gateways.by_protocol import RouterByProtocol
from adapters.gateways.manifests import Gateway
from adapters.kserve.answers import connect as connect_answers
from adapters.kserve.runtime import KServeRuntime
from adapters.kubernetes.client import connect as connect_kubernetes
from adapters.postgres.comparisons import PostgresComparisons
from adapters.postgres.evidence import PostgresEvidence
from adapters.postgres.fleet import PostgresFleet
from adapters.postgres.gate_templates import PostgresGateTemplates
from adapters.postgres.journal import PostgresJournal
from adapters.postgres.pool import open_pool
from adapters.postgres.readings import PostgresReadings
from adapters.postgres.registry import PostgresChores, PostgresRegistry
from adapters.postgres.rollouts import PostgresPatrol
from adapters.postgres.survey import PostgresSurvey
from adapters.prometheus.client import PrometheusClient
from adapters.prometheus.client import connect as connect_prometheus
from adapters.prometheus.counters import PrometheusCounters
from adapters.prometheus.history import PrometheusHistory
from adapters.prometheus.metrics import PrometheusMetrics
from adapters.prometheus.past import PrometheusPast
from adapters.temporal.runs import TemporalRuns
from adapters.webhook.answers import connect as connect_web
from adapters.webhook.notifier import WebhookNotifier
from adapters.webhook.notifier import connect as connect_hooks
from bootstrap.converting import DATA_CONVERTER
from bootstrap.settings import Settings
from domain.allowed_hosts import AllowedHosts
from domain.comparison_port import Answers, ComparisonStore
from domain.evidence_port import CounterSource, EvidenceStore, StableHistory
from domain.fleet_port import Fleet
from domain.gate_templates.port import GateTemplates
from domain.history_port import MetricsHistory
from domain.ports import (
    Chores,
    Journal,
    MetricsStore,
    Notifier,
    Patrol,
    Registry,
    RunDirectory,
    Survey,
    TrafficRouter,
    WorkloadRuntime,
)
from domain.reading_port import QueryStore, ReadingStore, WebSource
from domain.virtual_port import VirtualModelRouter

# Somebody waits for the answer: rather tell them soon that Temporal is down.
_IMPATIENT = RetryConfig(max_retries=4, max_elapsed_time_millis=1500)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiClients:
    """What the API needs: the registry, Temporal to start and ask, the metrics store."""

    registry: Registry
    fleet: Fleet
    templates: GateTemplates
    evidence: EvidenceStore
    readings: ReadingStore
    survey: Survey
    metrics: MetricsStore
    counters: CounterSource
    history: MetricsHistory
    stable_history: StableHistory
    temporal: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerClients:
    """What the worker needs: Temporal, and an adapter for each port of its activities."""

    temporal: Client
    workloads: WorkloadRuntime
    router: TrafficRouter
    virtual_models: VirtualModelRouter
    counters: CounterSource
    history: StableHistory
    evidence: EvidenceStore
    answers: Answers
    comparisons: ComparisonStore
    queries: QueryStore
    metrics: MetricsStore
    web: WebSource
    readings: ReadingStore
    journal: Journal
    patrol: Patrol
    chores: Chores
    registry: Registry
    fleet: Fleet
    runs: RunDirectory
    notifier: Notifier


@asynccontextmanager
async def api_clients(
    settings: Settings, runtime: Runtime | None = None
) -> AsyncGenerator[ApiClients]:
    """Connect to PostgreSQL; to Temporal only at the first call, so that reads work without it."""
    async with _pool(settings) as pool, _prometheus(settings) as store:
        temporal = await connect_temporal(settings, runtime=runtime, retries=_IMPATIENT, lazy=True)
        yield ApiClients(
            registry=PostgresRegistry(pool),
            fleet=PostgresFleet(pool),
            templates=PostgresGateTemplates(pool),
            evidence=PostgresEvidence(pool),
            readings=PostgresReadings(pool),
            survey=PostgresSurvey(pool),
            metrics=PrometheusMetrics(store, settings.token_metrics),
            counters=PrometheusCounters(store),
            history=PrometheusPast(store),
            stable_history=PrometheusHistory(store),
            temporal=temporal,
        )


@asynccontextmanager
async def worker_clients(
    settings: Settings, runtime: Runtime | None = None
) -> AsyncGenerator[WorkerClients]:
    """Connect to PostgreSQL and Temporal; the cluster and the metrics store are asked later."""
    kubernetes_timeout = timedelta(seconds=settings.kubernetes_timeout_seconds)
    gateway = Gateway(name=settings.gateway_name, namespace=settings.gateway_namespace)
    async with (
        _pool(settings) as pool,
        connect_kubernetes(settings.kubeconfig, timeout=kubernetes_timeout) as cluster,
        _prometheus(settings) as store,
        _hooks(settings) as notifier,
        connect_answers(cluster) as answers,
        connect_web(settings.hooks_allowed_hosts or AllowedHosts()) as web,
    ):
        temporal = await connect_temporal(settings, runtime=runtime)
        yield WorkerClients(
            temporal=temporal,
            workloads=KServeRuntime(cluster),
            router=RouterByProtocol(
                generative=AIGatewayRouter(cluster, gateway),
                predictive=HTTPRouteRouter(cluster, gateway),
            ),
            virtual_models=AIGatewayVirtualModels(cluster, gateway),
            counters=PrometheusCounters(store),
            history=PrometheusHistory(store),
            evidence=PostgresEvidence(pool),
            answers=answers,
            comparisons=PostgresComparisons(pool),
            queries=store,
            metrics=PrometheusMetrics(store, settings.token_metrics),
            web=web,
            readings=PostgresReadings(pool),
            journal=PostgresJournal(pool),
            patrol=PostgresPatrol(pool),
            chores=PostgresChores(pool),
            registry=PostgresRegistry(pool),
            fleet=PostgresFleet(pool),
            runs=TemporalRuns(temporal),
            notifier=notifier,
        )


async def connect_temporal(
    settings: Settings,
    *,
    runtime: Runtime | None = None,
    retries: RetryConfig | None = None,
    lazy: bool = False,
) -> Client:
    """A client with the one data converter that workflows, workers and the API share."""
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=DATA_CONVERTER,
        runtime=runtime,
        retry_config=retries,
        lazy=lazy,
    )


@asynccontextmanager
async def _pool(settings: Settings) -> AsyncGenerator[asyncpg.Pool]:
    pool = await open_pool(
        settings.database_url.get_secret_value(), most=settings.database_connections
    )
    try:
        yield pool
    finally:
        await pool.close()


def _prometheus(settings: Settings) -> AbstractAsyncContextManager[PrometheusClient]:
    timeout = timedelta(seconds=settings.prometheus_timeout_seconds)
    return connect_prometheus(str(settings.prometheus_url), timeout=timeout)


def _hooks(settings: Settings) -> AbstractAsyncContextManager[WebhookNotifier]:
    """Without allowed hosts it refuses every call, so that it needs no key either."""
    key = settings.hooks_signing_key
    allowed = settings.hooks_allowed_hosts or AllowedHosts()
    return connect_hooks(allowed, key.get_secret_value() if key else "")
