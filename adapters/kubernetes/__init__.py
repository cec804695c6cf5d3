"""What KServe and the gateway share: objects of the Kubernetes API, its errors translated."""
