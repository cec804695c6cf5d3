"""A Kubernetes API for tests of what talks to one, and hands that do what controllers would."""
