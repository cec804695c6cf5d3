"""Numbers out of Prometheus. The metrics that we read, not the ones that we emit.

`client` asks the store, `answers` reads what it sends, `promql` quotes. `counters` gives raw
samples to gates; each source that those may come from is a module of its own: `envoy` counts by
places of a route, the others, which have `labelled` in common, by workloads. `metrics` measures
variants for people: `counting` says how a counter has grown, `tokens` who counts them.
"""
