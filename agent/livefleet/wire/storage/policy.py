"""POST policies: the document, and both ways to sign it.

Source: AWS "Browser-based uploads using POST (Signature Version 4)"; Google Cloud Storage "Policy document" with V2
signatures; the conditions are those that stock gateways' forms meet (go-tools drivers/s3.go, drivers/gs.go).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

__all__ = ["MAX_OBJECT", "policy_document", "sign_for_google", "sign_for_s3"]

MAX_OBJECT = 300_000_000
"""Bytes of one file: the protocol's limit for a segment."""


def policy_document(bucket: str, key_prefix: str, expires_at: float, exact: Mapping[str, str]) -> str:
    """Base64 of a policy for files below `key_prefix` until `expires_at` (unix seconds). `exact`: further fields."""
    conditions: list[object] = [
        {"bucket": bucket},
        {"acl": "public-read"},
        ["starts-with", "$Content-Type", ""],
        ["starts-with", "$key", key_prefix],
        ["content-length-range", 1, MAX_OBJECT],
        *({name: value} for name, value in exact.items()),
    ]
    expiration = datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return base64.b64encode(json.dumps({"expiration": expiration, "conditions": conditions}).encode()).decode()


def sign_for_s3(policy: str, secret_key: str, day: str, region: str) -> str:
    """Hex signature of a base64 policy. `day`: YYYYMMDD, as in the credential's scope."""
    key = f"AWS4{secret_key}".encode()
    for scope in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, scope.encode(), hashlib.sha256)
    return hmac.digest(key, policy.encode(), hashlib.sha256).hex()


def sign_for_google(policy: str, key: rsa.RSAPrivateKey) -> str:
    """Base64 signature of a base64 policy."""
    return base64.b64encode(key.sign(policy.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
