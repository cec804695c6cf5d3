"""The data converter that workflows, workers and the API share."""

from datetime import timedelta

from bootstrap.converting import DATA_CONVERTER
from domain.steps import Soak


def test_how_a_type_is_read_is_derived_once_for_all_runs(monkeypatch):
    soak = Soak(weight=5, at_least=timedelta(0), at_most=timedelta(minutes=5))
    first, second = (DATA_CONVERTER.payload_converter_class() for _ in range(2))
    payloads = first.to_payloads([soak])
    assert first.from_payloads(payloads, [Soak]) == [soak]
    assert first is not second
    monkeypatch.setattr("pydantic.TypeAdapter.__init__", _never)
    assert second.from_payloads(payloads, [Soak]) == [soak]


def _never(*_, **__):
    raise AssertionError("derived anew")
