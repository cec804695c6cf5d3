"""Orchestration: holds state and awaits. Replayed, hence deterministic; rules are the domain's."""
