"""Traffic through Envoy AI Gateway: Backend, AIServiceBackend and AIGatewayRoute."""
