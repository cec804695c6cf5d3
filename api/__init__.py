"""The front door: parse, ask, render. The one package that speaks to Temporal as a client."""
