"""What people and machines may ask of a running rollout: as updates, and as signals likewise."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.errors import Conflict, Forbidden
from domain.rollout import Action, Command, EventKind
from workflows.messages import Reply, RolloutView
from workflows.standing import Standing
from workflows.timeouts import ABORT_ANSWERS_WITHIN
from workflows.waiting import first

# Who a signal without a payload is taken to be from: the Temporal UI or CLI.
SOMEBODY = Command(actor="temporal", reason="")


class Commands:
    """The handlers of RolloutWorkflow. They take a command down; the walk alone acts."""

    _standing: Standing

    @workflow.query(name="describe")
    def describe(self) -> RolloutView:
        """The live state, verdicts included."""
        return self._standing.view()

    @workflow.update(name="abort")
    async def abort(self, command: Command) -> Reply:
        """Send all traffic back to stable; answers once it is sent, or that it is on its way."""
        standing = self._standing
        standing.take(Action.ABORT, command)
        await first(lambda: standing.is_home, ABORT_ANSWERS_WITHIN)
        sent = "all traffic is sent to stable" if standing.is_home else "going back to stable"
        return self._reply(sent)

    @workflow.update(name="promote")
    def promote(self, command: Command) -> Reply:
        """Go on without waiting for the evidence: one step, or in full."""
        self._standing.take(Action.PROMOTE, command)
        return self._reply(f"promoting ({command.scope})")

    @workflow.update(name="pause")
    def pause(self, command: Command) -> Reply:
        """Advance no further; the gates go on watching and may still roll back."""
        self._standing.take(Action.PAUSE, command)
        return self._reply("paused")

    @workflow.update(name="resume")
    def resume(self, command: Command) -> Reply:
        """Go on. Weights that somebody else changed meanwhile are put back."""
        self._standing.take(Action.RESUME, command)
        return self._reply("resumed")

    @workflow.update(name="skip")
    def skip(self, command: Command) -> Reply:
        """End the wait of this step, and go on to the next one."""
        self._standing.take(Action.SKIP, command)
        return self._reply("skipped")

    @workflow.update(name="approve")
    def approve(self, command: Command) -> Reply:
        """Give the approval that this step waits for."""
        self._standing.take(Action.APPROVE, command)
        return self._reply("approved")

    @workflow.update(name="reject")
    def reject(self, command: Command) -> Reply:
        """Refuse the approval that this step waits for: all traffic goes back to stable."""
        self._standing.take(Action.REJECT, command)
        return self._reply("rejected; going back to stable")

    @abort.validator
    def _allow_abort(self, command: Command) -> None:
        self._allow(Action.ABORT, command)

    @promote.validator
    def _allow_promote(self, command: Command) -> None:
        self._allow(Action.PROMOTE, command)

    @pause.validator
    def _allow_pause(self, command: Command) -> None:
        self._allow(Action.PAUSE, command)

    @resume.validator
    def _allow_resume(self, command: Command) -> None:
        self._allow(Action.RESUME, command)

    @skip.validator
    def _allow_skip(self, command: Command) -> None:
        self._allow(Action.SKIP, command)

    @approve.validator
    def _allow_approve(self, command: Command) -> None:
        self._allow(Action.APPROVE, command)

    @reject.validator
    def _allow_reject(self, command: Command) -> None:
        self._allow(Action.REJECT, command)

    def _allow(self, action: Action, command: Command) -> None:
        try:
            self._standing.require_fit(action, command)
        except (Conflict, Forbidden) as error:
            kind = type(error).__name__
            raise ApplicationError(str(error), type=kind, non_retryable=True) from error

    @workflow.signal(name="abort")
    def abort_signal(self, command: Command = SOMEBODY) -> None:
        self._hear(Action.ABORT, command)

    @workflow.signal(name="promote")
    def promote_signal(self, command: Command = SOMEBODY) -> None:
        self._hear(Action.PROMOTE, command)

    @workflow.signal(name="pause")
    def pause_signal(self, command: Command = SOMEBODY) -> None:
        self._hear(Action.PAUSE, command)

    @workflow.signal(name="resume")
    def resume_signal(self, command: Command = SOMEBODY) -> None:
        self._hear(Action.RESUME, command)

    @workflow.signal(name="skip")
    def skip_signal(self, command: Command = SOMEBODY) -> None:
        self._hear(Action.SKIP, command)

    @workflow.signal(name="approve")
    def approve_signal(self, command: Command = SOMEBODY) -> None:
        self._hear(Action.APPROVE, command)

    @workflow.signal(name="reject")
    def reject_signal(self, command: Command = SOMEBODY) -> None:
        self._hear(Action.REJECT, command)

    def _hear(self, action: Action, command: Command) -> None:
        """Signals get no answer: one that does not fit is noted and changes nothing."""
        try:
            self._standing.require_fit(action, command)
        except (Conflict, Forbidden) as error:
            note = f"{action} by {command.actor} refused: {error}"
            self._standing.tell(EventKind.COMMANDED, note)
        else:
            self._standing.take(action, command)

    def _reply(self, message: str) -> Reply:
        return Reply(phase=self._standing.phase, message=message)
