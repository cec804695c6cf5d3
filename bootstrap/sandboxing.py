"""The workflow sandbox, told once which modules are pure and need no reloading for each run."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions


def workflow_runner() -> SandboxedWorkflowRunner:
    """Keep the sandbox around `workflows` only: `domain` and `activities` pass through."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(
        "domain", "activities", "numpy"
    )
    return SandboxedWorkflowRunner(restrictions=restrictions)
