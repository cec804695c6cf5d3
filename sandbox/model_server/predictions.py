"""KServe's predictive protocols: which model a path asks for, and the bodies of the answers.

A prediction is the same number for every instance: a version is told from another by it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.model_server.replies import encoded

_PATHS = re.compile(
    r"/v1/models/(?P<v1>[^/:]+)(?P<predict>:predict)?"
    r"|/v2/models/(?P<v2>[^/:]+)(?P<rest>/ready|/infer)?"
)


class Asked(StrEnum):
    """What a path asks for, as its metrics name it."""

    V1_READY = "/v1/models/{model}"
    V1_PREDICT = "/v1/models/{model}:predict"
    V2_READY = "/v2/models/{model}"
    V2_INFER = "/v2/models/{model}/infer"

    @property
    def method(self) -> str:
        return "POST" if self in (Asked.V1_PREDICT, Asked.V2_INFER) else "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    asked: Asked
    model: str


def question(path: str) -> Question | None:
    """What a path asks for; None where it is none of these protocols'."""
    found = _PATHS.fullmatch(path)
    if found is None:
        return None
    if found["v1"]:
        asked = Asked.V1_PREDICT if found["predict"] else Asked.V1_READY
        return Question(asked=asked, model=found["v1"])
    asked = Asked.V2_INFER if found["rest"] == "/infer" else Asked.V2_READY
    return Question(asked=asked, model=found["v2"])


def readiness(model: str) -> bytes:
    return encoded({"name": model, "ready": True})


def count_of(asked: Asked, request: Any) -> int | str:
    """How many predictions a request asks for, or what is wrong with it."""
    field = "instances" if asked is Asked.V1_PREDICT else "inputs"
    listed = request.get(field) if isinstance(request, dict) else None
    if not isinstance(listed, list) or not listed:
        return f"{field} must be a list that is not empty"
    if asked is Asked.V1_PREDICT:
        return len(listed)
    shape = listed[0].get("shape") if isinstance(listed[0], dict) else None
    if not isinstance(shape, list) or not shape or not isinstance(shape[0], int):
        return "inputs.0.shape must be a list of numbers"
    return max(1, shape[0])


def predictions(asked: Asked, model: str, count: int, value: float) -> bytes:
    """The answer with `count` predictions."""
    values = [value] * count
    if asked is Asked.V1_PREDICT:
        return encoded({"predictions": values})
    output = {"name": "output-0", "datatype": "FP64", "shape": [count], "data": values}
    return encoded({"model_name": model, "outputs": [output]})
