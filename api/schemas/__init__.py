"""What HTTP clients see: pydantic models with `to_domain` in and `from_domain` out; no rules."""
