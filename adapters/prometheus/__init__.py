"""Raw counters out of Prometheus. The metrics that we read, not the ones that we emit."""
