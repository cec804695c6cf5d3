"""A simulated model server: OpenAI's endpoints, vLLM's metrics, the behaviour of a `sim://` URI."""
