"""The signature, against numbers that were computed with another program."""

from datetime import UTC, datetime

from adapters.webhook.signature import signed

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_the_signature_is_the_one_that_openssl_computes():
    """printf '%s' '1795608000.{"version":1}' | openssl dgst -sha256 -hmac 'a key'."""
    headers = signed(b"a key", b'{"version":1}', NOON)

    assert headers == {
        "Tidegate-Timestamp": "1795608000",
        "Tidegate-Signature": "v1=c20241be73d0ceb85bd96bc1c432e8e50bdf853defadafea86b8db28bf78366c",
    }


def test_another_time_body_or_key_signs_otherwise():
    signatures = {
        signed(key, body, at)["Tidegate-Signature"]
        for key in (b"a", b"b")
        for body in (b"{}", b"[]")
        for at in (NOON, NOON.replace(second=1))
    }

    assert len(signatures) == 8
