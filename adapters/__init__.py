"""The only code that knows a vendor: one package an outside thing. Raises domain errors only."""
