"""Hooks that answer what a test tells them to."""

from collections import defaultdict, deque
from urllib.parse import urlsplit

from domain.allowed_hosts import AllowedHosts
from domain.errors import Forbidden, TidegateError
from domain.hooks import PORTS, Hook
from domain.notices import Answer, Notice, Said
from domain.ports import Notifier

YES = Answer(said=Said.YES, status=200, detail="answered 200")
NO = Answer(said=Said.NO, status=409, detail="answered 409: not now")
ANYWHERE = AllowedHosts.read("*.example.com")


class ScriptedNotifier(Notifier):
    """Says yes unless scripted otherwise. `heard` keeps each notice that got through."""

    def __init__(self, allowed: AllowedHosts = ANYWHERE) -> None:
        self.heard: list[Notice] = []
        self.calls: list[str] = []
        self._allowed = allowed
        self._scripts: dict[str, deque[Answer | TidegateError]] = defaultdict(deque)

    def script(self, hook: str, *answers: Answer | TidegateError) -> None:
        """Answer or raise these at the hook of that name, one a call; the last one stays."""
        self._scripts[hook] = deque(answers)

    def heard_by(self, hook: str) -> list[Notice]:
        return [notice for notice in self.heard if notice.hook == hook]

    async def call(self, hook: Hook, notice: Notice) -> Answer:
        split = urlsplit(hook.url)
        host, port = split.hostname or "", split.port or PORTS[split.scheme]
        if not self._allowed.permits(host, port):
            raise Forbidden(f"{host}:{port} is not an allowed host")
        self.calls.append(hook.name)
        script = self._scripts[hook.name]
        answer = (script.popleft() if len(script) > 1 else script[0]) if script else YES
        if isinstance(answer, TidegateError):
            raise answer
        self.heard.append(notice)
        return answer
