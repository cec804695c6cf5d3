"""What PostgreSQL and asyncpg raise, as domain errors. Nothing else in the package catches them."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from domain.errors import (
    AlreadyExists,
    AlreadyRunning,
    Conflict,
    Contended,
    InUse,
    InvalidSpec,
    NotFound,
    TidegateError,
    Unreachable,
    Violation,
)

_RAISED = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
# SQLSTATE classes: connection, authorisation, no such database, resources, operator, system.
_UNREACHABLE = ("08", "28", "3D", "53", "57", "58")
_LOST_RACE = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)
_NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InsufficientPrivilegeError,
)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise domain errors in place of PostgreSQL's. `what` names the thing that is dealt with.

    An error of our own SQL is a bug and stays what it is.
    """
    try:
        yield
    except _RAISED as error:
        meaning = _meaning(error, what)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: Exception, what: str) -> TidegateError | None:
    match error:
        case asyncpg.IntegrityConstraintViolationError():
            return _forbidden_by_rule(error, what)
        case asyncpg.PostgresError():
            return _by_class(error, what)
        case ValueError():  # asyncpg could not encode an argument
            return InvalidSpec(Violation(what, str(error)))
        case _:
            return _silent(error)


def _forbidden_by_rule(error: asyncpg.PostgresError, what: str) -> TidegateError:
    match error:
        case asyncpg.UniqueViolationError(constraint_name="rollouts_unfinished"):
            return AlreadyRunning("another rollout of this traffic config has not ended")
        case asyncpg.UniqueViolationError(constraint_name="operations_unfinished"):
            return AlreadyRunning("another operation on the same thing has not ended")
        case asyncpg.UniqueViolationError():
            return AlreadyExists(_taken(what, error.constraint_name or ""))
        case asyncpg.ForeignKeyViolationError() | asyncpg.RestrictViolationError():
            return _dangling(error, what)
        case _:
            return Conflict(f"{what} would break the rule {error.constraint_name}: {error}")


def _by_class(error: asyncpg.PostgresError, what: str) -> TidegateError | None:
    sqlstate = error.sqlstate or ""
    if isinstance(error, _LOST_RACE):
        return Contended(f"{what}: somebody else wrote at the same time ({error})")
    if isinstance(error, _NOT_MIGRATED):
        return Unreachable(f"the registry's schema is not ours, were migrations run? ({error})")
    if sqlstate.startswith(_UNREACHABLE):
        return _silent(error)
    if sqlstate.startswith("22"):
        return InvalidSpec(Violation(what, f"cannot be stored: {error}"))
    return None


def _silent(error: Exception) -> Unreachable:
    detail = str(error) or "it took too long"
    return Unreachable(f"the registry's database does not answer: {detail}")


# What is unique besides a name, in words.
_UNIQUE = {
    "traffic_configs_project_id_inference_service_id_key": (
        "its inference service has a traffic config"
    ),
    "traffic_configs_namespace_route_name_key": "its route belongs to another traffic config",
    "gateway_model_name": "its name is taken on this gateway",
    "virtual_models_name": "its name is taken on this gateway",
    "traffic_variants_slot": "its slot is held by another variant",
    "traffic_variants_traffic_config_id_model_version_id_key": "its version is a variant",
}


def _taken(what: str, constraint: str) -> str:
    if constraint.endswith("_pkey"):
        return f"{what} exists already (same id)"
    if constraint in _UNIQUE:
        return f"{what}: {_UNIQUE[constraint]} already"
    return f"{what} exists already"


def _dangling(error: asyncpg.PostgresError, what: str) -> TidegateError:
    """A reference points nowhere, or something that is referred to should go.

    The constraint's name ends in the thing that is referred to.
    """
    table, constraint = error.table_name or "", error.constraint_name or ""
    thing = constraint.removeprefix(f"{table}_").replace("_", " ")
    if "referenced from table" in (error.detail or ""):
        return InUse(f"{what} is still in use by {table.replace('_', ' ')}")
    return NotFound(f"{what}: there is no such {thing} in this project")
