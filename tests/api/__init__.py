"""The front door: status, schema, isolation, idempotency, the stream."""
