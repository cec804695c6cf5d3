"""A small Kubernetes API server: any registered resource, server-side apply, watches, state."""
