"""Builds what the two processes need: settings, clients, telemetry. Decides nothing."""
