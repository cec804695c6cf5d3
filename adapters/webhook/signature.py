"""How a receiver knows that a call is ours, and not one that somebody recorded long ago."""

import hashlib
import hmac
from datetime import datetime

TIMESTAMP, SIGNATURE = "Tidegate-Timestamp", "Tidegate-Signature"
SCHEME = "v1"


def signed(key: bytes, body: bytes, now: datetime) -> dict[str, str]:
    """The headers that sign a body: `v1=` and the hex HMAC-SHA256 of `<timestamp>.<body>`."""
    timestamp = str(int(now.timestamp()))
    digest = hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP: timestamp, SIGNATURE: f"{SCHEME}={digest}"}
