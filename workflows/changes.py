"""Which workflow carries an operation out: one for each kind of subject."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from domain.operations import Subject
from workflows.operation import ChangeTrafficWorkflow
from workflows.virtual_models import ChangeVirtualModelWorkflow

CHANGES: Mapping[Subject, Any] = MappingProxyType(
    {
        Subject.TRAFFIC_CONFIG: ChangeTrafficWorkflow.run,
        Subject.VIRTUAL_MODEL: ChangeVirtualModelWorkflow.run,
    }
)
