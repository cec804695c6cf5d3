"""What KServe and the gateway share: objects of the Kubernetes API, its errors translated.

`client` speaks to the API server, `answers` turns its refusals into domain errors, `resources`
says which kinds there are, `documents` reads objects whose shape nobody guarantees.
"""
