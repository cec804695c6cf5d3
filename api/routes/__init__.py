"""Parse, ask, render: one module a resource."""

PREFIX = "/api/v1/model-registry"
