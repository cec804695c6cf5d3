"""What a probe of the process answers."""

from typing import Literal

from api.schemas.fields import Outgoing


class Health(Outgoing):
    status: Literal["ok"]
