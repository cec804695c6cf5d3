"""The laptop-sized cluster: real servers, a Kubernetes stand-in. Production never imports it."""
