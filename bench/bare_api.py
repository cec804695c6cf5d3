"""What the API's reads are compared with: FastAPI and asyncpg, the same queries and fields.

`python -m bench.bare_api --port 8001` with TIDEGATE_DATABASE_URL. Each handler fetches, picks and
returns; no layers, no checks, no metrics.
"""

import argparse
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI, Header, Request

from adapters.postgres.sql import load

_CONNECTIONS = 10
_ROLLOUTS, _TRAFFIC = load("rollouts"), load("traffic")
_ROLLOUT_COLUMNS = (
    "id", "phase", "phase_reason", "step", "candidate_weight", "actor", "reason", "created_at",
    "updated_at", "ended_at",
)  # fmt: skip
_CONFIG_COLUMNS = (
    "id", "inference_service_id", "inference_service_name", "strategy", "status", "status_reason",
    "paused", "default_gates", "default_gate_templates", "default_policies", "namespace",
    "created_at", "updated_at",
)  # fmt: skip
_VARIANT_COLUMNS = (
    "id", "role", "model_version_id", "model_version_name", "weight", "slot", "status", "retire_at",
    "created_at", "updated_at",
)  # fmt: skip

Project = Annotated[UUID, Header(alias="Project-ID")]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["TIDEGATE_DATABASE_URL"], min_size=1, max_size=_CONNECTIONS
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_lifespan)


@app.get("/rollouts/{rollout_id}")
async def rollout(request: Request, project: Project, rollout_id: UUID) -> dict[str, Any]:
    row = await request.app.state.pool.fetchrow(_ROLLOUTS["rollout"], project, rollout_id)
    return shown_rollout(row)


@app.get("/rollouts")
async def rollouts(
    request: Request, project: Project, limit: int = 20, offset: int = 0
) -> dict[str, Any]:
    rows = await request.app.state.pool.fetch(
        _ROLLOUTS["rollouts"], project, limit, offset, None, None
    )
    items = [_summary(row, json.loads(row["plan"])) for row in rows]
    total = rows[0]["total"]
    following = offset + len(items)
    return {
        "items": items,
        "total": total,
        "page_size": limit,
        "next_offset": following if following < total else None,
    }


@app.get("/traffic_configs/{config_id}")
async def config(request: Request, project: Project, config_id: UUID) -> dict[str, Any]:
    return shown_config(
        await request.app.state.pool.fetchrow(_TRAFFIC["config"], project, config_id)
    )


def shown_config(row: Mapping[str, Any]) -> dict[str, Any]:
    variants = [
        {
            **{name: variant[name] for name in _VARIANT_COLUMNS},
            "variant_name": variant["name"],
            "kserve_isvc_name": variant["workload"],
        }
        for variant in json.loads(row["variants"])
    ]
    named = {name: row[name] for name in _CONFIG_COLUMNS}
    return {
        **named,
        "ai_gateway_route_name": row["route_name"],
        "rollback_window_seconds": row["rollback_window"].total_seconds(),
        "operation": None,
        "variants": variants,
    }


def shown_rollout(row: Mapping[str, Any]) -> dict[str, Any]:
    plan = json.loads(row["plan"])
    return {
        **_summary(row, plan),
        "plan": plan,
        "workflow_id": row["workflow_id"],
        "run_id": row["run_id"],
        "clearance": None,
        "live": None,
        "live_unavailable": None,
    }


def _summary(row: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _ROLLOUT_COLUMNS},
        "traffic_config_id": row["config_id"],
        "model": plan["route"]["model"],
        "strategy": plan["strategy"],
        "steps": len(plan["steps"]),
        "stable_version": plan["stable"]["version_name"],
        "candidate_version": plan["candidate"]["version_name"],
        "links": {
            "self": f"/rollouts/{row['id']}",
            "events": f"/rollouts/{row['id']}/events",
            "traffic_config": f"/traffic_configs/{row['config_id']}",
            "temporal_ui": f"/workflows/{row['workflow_id']}/{row['run_id']}",
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.bare_api", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    # As api/__main__.py serves, so that only the applications differ.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=parser.parse_args().port,
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
