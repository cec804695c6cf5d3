"""Who used how many tokens, and what they cost."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from api.measuring import metrics_store
from api.schemas.metrics import GroupBy, TokenGroupOut, UsageOut
from domain.metrics import Tokens
from domain.ports import MetricsStore
from domain.prices import TokenPrice, cost, total
from domain.survey import TokenBearer

# Of a model and of a variant, where the group is of one.
Key = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFilter:
    """Nothing named is everything."""

    models: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    def takes(self, bearer: TokenBearer) -> bool:
        return (not self.models or bearer.model in self.models) and (
            not self.variants or bearer.variant in self.variants
        )


async def usage(
    store: MetricsStore,
    project: UUID,
    bearers: Sequence[TokenBearer],
    group_by: GroupBy,
    prices: Mapping[str, TokenPrice],
    *,
    at: datetime,
    window: timedelta,
) -> tuple[list[TokenGroupOut], UsageOut]:
    """The groups, and all of them together. Raises MetricsUnreachable and MetricsRefused."""
    workloads = sorted({bearer.workload for bearer in bearers})
    async with metrics_store():
        found = await store.tokens(workloads, at=at, window=window)
    groups: defaultdict[Key, list[tuple[str, Tokens]]] = defaultdict(list)
    for bearer in bearers:
        groups[_key(bearer, group_by)].append((bearer.model, found[bearer.workload]))
    told = [
        TokenGroupOut(
            project_id=project, model=model, variant=variant, **_usage(used, prices).model_dump()
        )
        for (model, variant), used in groups.items()
    ]
    everything = [each for used in groups.values() for each in used]
    return told, _usage(everything, prices)


def _key(bearer: TokenBearer, group_by: GroupBy) -> Key:
    match group_by:
        case GroupBy.PROJECT:
            return None, None
        case GroupBy.MODEL:
            return bearer.model, None
        case GroupBy.VARIANT:
            return bearer.model, bearer.variant


def _usage(used: Sequence[tuple[str, Tokens]], prices: Mapping[str, TokenPrice]) -> UsageOut:
    tokens = total(each for _, each in used)
    costs = cost(used, prices)
    known = [number for number in (tokens.input, tokens.output) if number is not None]
    return UsageOut(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        total_tokens=sum(known) if known else None,
        cost=costs.amounts,
        unpriced_models=list(costs.unpriced),
    )
