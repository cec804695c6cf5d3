"""Two controllers on the Kubernetes stand-in that play KServe and Envoy AI Gateway."""
