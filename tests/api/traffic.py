"""One traffic config, changed through the API and looked at as a person would."""

from typing import Any

from tests.api.caller import Caller


class Traffic:
    """Calls on the config of `ids`; `weights` and the like read it back."""

    def __init__(self, api: Caller, ids: dict[str, str]) -> None:
        self.api, self.ids = api, ids
        self.path = f"/traffic_configs/{ids['config']}"

    async def add(self, name: str, version: str, weight: int = 0, **more: Any) -> Any:
        body = {"variant_name": name, "model_version_id": self.ids[version], "weight": weight}
        return await self.api.post(f"{self.path}/variants", body | more)

    async def canary(self, version: str = "v2", **more: Any) -> Any:
        body = {"model_version_id": self.ids[version], **more}
        return await self.api.post(f"{self.path}/canary", body)

    async def weigh(self, **weights: Any) -> Any:
        return await self.api.patch(f"{self.path}/weights", {"weights": weights})

    async def promote(self, name: str) -> Any:
        return await self.api.post(f"{self.path}/promote/{name}")

    async def roll_back(self) -> Any:
        return await self.api.post(f"{self.path}/rollback")

    async def patch(self, **changes: Any) -> Any:
        return await self.api.patch(self.path, changes)

    async def config(self) -> Any:
        return (await self.api.get(self.path)).json()

    async def variants(self) -> dict[str, Any]:
        return {v["variant_name"]: v for v in (await self.config())["variants"]}

    async def weights(self) -> dict[str, int]:
        return {name: v["weight"] for name, v in (await self.variants()).items()}

    async def refuses(self, status: int, call: Any) -> Any:
        """The problem that the call is answered with; it has changed nothing at all."""
        before = (await self.api.get(self.path)).content
        operations = (await self.api.get("/operations")).content
        answer = await call
        assert answer.status_code == status, answer.text
        assert (await self.api.get(self.path)).content == before
        assert (await self.api.get("/operations")).content == operations
        return answer.json()


def fields(problem: Any) -> list[str]:
    return [error["field"] for error in problem["errors"]]
