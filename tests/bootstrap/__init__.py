"""Settings, logs, clients."""
