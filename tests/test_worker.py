"""The worker offers every activity that there is; one that it does not would wait for ever."""

import importlib
import inspect
import pkgutil
from unittest.mock import MagicMock

import activities
from worker import activities as offered


def test_every_activity_is_offered_on_one_of_the_queues():
    modules = [
        importlib.import_module(f"activities.{one.name}")
        for one in pkgutil.iter_modules(activities.__path__)
    ]
    defined = {
        name
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
        for name in names_of(vars(kind).values())
    }
    writes, looks = offered(MagicMock())

    assert len(defined) > 20
    assert names_of(writes) | names_of(looks) == defined
    assert not names_of(writes) & names_of(looks)


def names_of(functions):
    found = (getattr(one, "__temporal_activity_definition", None) for one in functions)
    return {definition.name for definition in found if definition}
