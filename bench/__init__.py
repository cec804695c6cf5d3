"""Measurements with a report of their own, not tests: `python -m bench [name ...]`.

Each measure is a module with `TITLE` and `measure(run)`; `__main__.py` lists them.
"""
