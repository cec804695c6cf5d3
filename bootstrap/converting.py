"""The one data converter of workflows, workers and the API, with one memory of how types are read.

How a type is read from JSON takes tens of milliseconds to derive. The SDK makes a converter for
each run of a workflow, and each would derive it anew, within the run's first tasks.
"""

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter, DataConverter

_SHARED = PydanticPayloadConverter()


class SharedPayloadConverter(CompositePayloadConverter):
    """Pydantic's converter for each run, on the same encodings: what one learnt all know."""

    def __init__(self) -> None:
        super().__init__(*_SHARED.converters.values())


DATA_CONVERTER = DataConverter(payload_converter_class=SharedPayloadConverter)
