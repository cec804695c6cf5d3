"""The gateway's one listener and the filters that stand in for Envoy AI Gateway's ext_proc.

As there, the request's body names the model, the model becomes the header that routes match on
(a client's own value is overwritten), the route is then chosen again, responses pass untouched.
"""

from pathlib import Path
from typing import Any

from sandbox.layout import HOST

ROUTE_CONFIG = "gateway"

# Prompts with pictures in them are large; Envoy answers 413 beyond this.
_BODY_LIMIT_BYTES = 50 * 1024 * 1024
_TYPES = "type.googleapis.com/envoy.extensions.filters"

# Only these paths carry a model in a JSON body. Any other keeps its request as it is, without the
# header, so that it finds plain routes only: Envoy AI Gateway's own know no such path either.
_LUA = """
local model_paths = {
  ["/v1/chat/completions"] = true,
  ["/v1/completions"] = true,
  ["/v1/embeddings"] = true,
  ["/v1/responses"] = true,
}

local function refuse(request, message)
  request:respond(
    {[":status"] = "400", ["content-type"] = "application/json"},
    '{"type":"error","error":{"type":"invalid_request_error","message":"' .. message .. '"}}')
end

function envoy_on_request(request)
  local headers = request:headers()
  headers:remove("x-ai-eg-model")
  if model_paths[string.match(headers:get(":path") or "", "^[^?]*")] then
    local found = request:streamInfo():dynamicMetadata():get("tidegate.request") or {}
    if type(found.model) ~= "string" or found.model == "" then
      refuse(request, found.problem or "model must be a non-empty string")
      return
    end
    headers:add("x-ai-eg-model", found.model)
  end
  request:clearRouteCache()
end
"""


def listener(port: int, routes_file: Path) -> dict[str, Any]:
    """The listener on `port` that takes its routes from `routes_file`."""
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "gateway",
        "address": {"socket_address": {"address": HOST, "port_value": port}},
        "per_connection_buffer_limit_bytes": _BODY_LIMIT_BYTES,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _connection_manager(routes_file),
                    }
                ]
            }
        ],
    }


def _connection_manager(routes_file: Path) -> dict[str, Any]:
    kind = f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager"
    return {
        "@type": kind,
        "stat_prefix": "gateway",
        "use_remote_address": True,
        "rds": {
            "route_config_name": ROUTE_CONFIG,
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": str(routes_file)},
            },
        },
        "http_filters": [
            _filter("json_to_metadata", "json_to_metadata.v3.JsonToMetadata", _model_rule()),
            _filter("lua", "lua.v3.Lua", {"default_source_code": {"inline_string": _LUA}}),
            _filter("router", "router.v3.Router", {}),
        ],
    }


def _filter(name: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{_TYPES}.http.{kind}", **config},
    }


def _model_rule() -> dict[str, Any]:
    """Reads the body's top-level "model", whatever content type the client has given."""
    return {
        "request_rules": {
            "allow_empty_content_type": True,
            "allow_content_types_regex": {"regex": ".*"},
            "rules": [
                {
                    "selectors": [{"key": "model"}],
                    "on_present": _metadata("model"),
                    "on_missing": _metadata("problem", "the request body names no model"),
                    "on_error": _metadata("problem", "the request body is not JSON"),
                }
            ],
        }
    }


def _metadata(key: str, value: str | None = None) -> dict[str, Any]:
    rule = {"metadata_namespace": "tidegate.request", "key": key}
    return rule if value is None else {**rule, "value": value}
