"""Raw counters out of Prometheus. The metrics that we read, not the ones that we emit.

`counters` asks the store, `answers` reads what it sends, `promql` quotes; each source that a
number may come from is a module of its own (`envoy`) with a row in `sources`.
"""
