"""What the routers share: the Gateway API, fencing, comparing and swapping, drift."""
