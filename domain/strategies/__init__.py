"""One module a strategy: a spec in, a plan of steps out."""
