"""What a person is told once the sandbox is up: where things are, and what to try first."""

import shlex
from collections.abc import Collection

from sandbox.caller import PREFIX, PROJECT_ID
from sandbox.layout import Layout
from sandbox.seed import MODEL, VERSIONS, Seeded

_BODY = """{{
       "target_version_id": "{version_id}",
       "steps": [{{"weight": 10, "soak_seconds": 120}}, {{"weight": 50, "soak_seconds": 120}}],
       "gates": [{{"name": "errors", "metric": "error_rate", "against_stable": {{"floor": 0.01}}}}],
       "policies": {{"probe_interval_seconds": 1, "warm_up_seconds": 0}}}}"""

_STEPS = """
  project {project}, model {model}: {versions}

  A canary holds until requests come by; in another terminal:
    make traffic

  Start a canary of {candidate}; this prints the rollout's id:
    ROLLOUT=$(curl -s -H 'Project-ID: {project}' \\
      -H 'Content-Type: application/json' \\
      {api}/traffic_configs/{config_id}/rollouts \\
      -d '{body}' \\
      | sed -E 's/^\\{{"id":"([^"]+)".*/\\1/'); echo "$ROLLOUT"

  Follow it live:
    curl -N -H 'Project-ID: {project}' \\
      "{api}/rollouts/$ROLLOUT/events?follow=true"

  Promote it at once, or roll it back with `abort` in place of `promote`:
    curl -X POST -H 'Project-ID: {project}' \\
      "{api}/rollouts/$ROLLOUT/promote"
"""


def variables(layout: Layout, seeded: Seeded) -> str:
    """The same ids for a shell to source, so that the README's calls can be pasted as they are."""
    named = {
        "API": layout.api_url + PREFIX,
        "GATEWAY": layout.gateway_url,
        "PROJECT": f"Project-ID: {PROJECT_ID}",
        "CONFIG": seeded.config_id,
        **{
            name.upper().replace("-", "_"): version_id
            for name, version_id in seeded.versions.items()
        },
    }
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in named.items())


def addresses(layout: Layout, parts: Collection[str]) -> str:
    """Where the running parts are, as a table."""
    rows = {
        "api": ("API", f"{layout.api_url}/docs"),
        "temporal": ("Temporal UI", layout.temporal_ui_url),
        "envoy": ("gateway", layout.gateway_url),
        "prometheus": ("Prometheus", layout.prometheus_url),
        "kubernetes": ("Kubernetes", f"KUBECONFIG={layout.kubeconfig}"),
    }
    shown = [row for part, row in rows.items() if part in parts]
    shown.append(("logs", str(layout.logs_dir)))
    return "\n".join(f"  {name:<12} {address}" for name, address in shown)


def first_steps(layout: Layout, seeded: Seeded) -> str:
    """Calls to paste: send traffic, start a canary, follow it, promote or abort it."""
    candidate = next(name for name in VERSIONS if name != seeded.stable)
    named = [f"{name} (stable)" if name == seeded.stable else name for name in seeded.versions]
    return _STEPS.format(
        project=PROJECT_ID,
        model=MODEL,
        versions=", ".join(named),
        candidate=candidate,
        api=layout.api_url + PREFIX,
        config_id=seeded.config_id,
        body=_BODY.format(version_id=seeded.versions[candidate]),
    )
