"""What blue/green and shadow ask for beside gates and policies."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from api.schemas.comparisons import CompareIn
from api.schemas.fields import Incoming, Name, Seconds
from api.schemas.steps import AnalysisIn, Percent
from domain.steps import Reaction
from domain.strategies.blue_green import BlueGreenSpec
from domain.strategies.rules import Terms
from domain.strategies.shadow import ShadowSpec
from domain.traffic import HeaderMatch, MatchKind

MOST_HEADERS = 8
HeaderName = Annotated[Name, Field(max_length=256)]
HeaderValue = Annotated[Name, Field(max_length=4096)]


class HeaderMatchBody(Incoming):
    """A header that a request must carry."""

    name: HeaderName
    value: HeaderValue
    kind: MatchKind = Field(
        default=MatchKind.EXACT, description="`pattern`: a regular expression of all the value."
    )

    def to_domain(self) -> HeaderMatch:
        return HeaderMatch(name=self.name, value=self.value, kind=self.kind)


class BlueGreenIn(Incoming):
    """The candidate is previewed at weight 0, then given all traffic at once."""

    preview: list[HeaderMatchBody] | None = Field(
        default=None,
        max_length=MOST_HEADERS,
        description="Requests with all of these reach the candidate before the switch; left out: "
        "`x-tidegate-preview` with the candidate's name.",
    )
    pre_promotion: AnalysisIn | None = Field(
        default=None, description="The gates judge the candidate by the preview before the switch."
    )
    automatic: bool = Field(
        default=False, description="Switch without asking; else somebody promotes."
    )
    post_promotion_seconds: Seconds = Field(
        default=0.0,
        description="How long the gates watch all traffic before the candidate is stable.",
    )

    def to_domain(self, terms: Terms) -> BlueGreenSpec:
        return BlueGreenSpec(
            preview=tuple(header.to_domain() for header in self.preview or ()),
            pre_promotion=None if self.pre_promotion is None else self.pre_promotion.to_domain(),
            automatic=self.automatic,
            post_promotion=timedelta(seconds=self.post_promotion_seconds),
            **terms.shared(),
        )


class ShadowIn(Incoming):
    """The candidate gets copies of requests and answers nobody; it is removed in the end."""

    percent: Percent = Field(description="Of all requests, copied to the candidate; 1 to 100.")
    at_most_seconds: Seconds = Field(description="The longest time before it is undecided.")
    at_least_seconds: Seconds = Field(default=0.0, description="The shortest, even if proven.")
    on_undecided: Reaction = Field(
        default=Reaction.ADVANCE, description="What happens at the end; `advance` concludes."
    )
    compare: CompareIn | None = Field(
        default=None, description="A sample whose answers are compared, beside the gates."
    )

    def to_domain(self, terms: Terms) -> ShadowSpec:
        return ShadowSpec(
            percent=self.percent,
            at_most=timedelta(seconds=self.at_most_seconds),
            at_least=timedelta(seconds=self.at_least_seconds),
            on_undecided=self.on_undecided,
            compare=None if self.compare is None else self.compare.to_domain(),
            **terms.shared(),
        )
