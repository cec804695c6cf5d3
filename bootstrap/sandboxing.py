"""The workflow sandbox, told once which modules are pure and need no reloading for each run."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions


def workflow_runner() -> SandboxedWorkflowRunner:
    """Keep the sandbox around the code of workflows only: what holds no state passes through.

    Each run loads its own copy of everything else, and declaring messages takes most of that time.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules(
        "domain", "activities", "numpy", "workflows.messages", "workflows.timeouts"
    )
    return SandboxedWorkflowRunner(restrictions=restrictions)
