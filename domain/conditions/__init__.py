"""Conditions: a small language for what people ask of a query's answer. No I/O, and no eval."""
