"""One module a real server of the sandbox: how to start it and when it is ready."""
