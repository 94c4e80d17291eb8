"""How a delivery proves who sent it.

A proof is checked over the bytes as they came, before anything is read from them, in a time that does not depend on where a wrong
one differs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence

Headers = Mapping[str, str]  # names in lower case; values as latin-1, as HTTP has them
Proof = Callable[[Headers, bytes, Sequence[str], float], bool]

MOST_AGE_S = 300.0
"""How old a delivery may be whose time is signed; as much it may lie ahead."""
SIGNING_PREFIX = "whsec_"
"""What a secret begins with that is only ever used to sign (the Standard Webhooks specification)."""


def hex_of_body(*names: str, prefix: str = "sha256=") -> Proof:
    """HMAC-SHA256 of the body as hexadecimal, in the first of these headers that is there."""

    def proof(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
        given = next((headers[name] for name in names if name in headers), "")
        if given.startswith(prefix):
            given = given.removeprefix(prefix)
        elif prefix:
            return False
        given = given.removeprefix("sha256=")
        if not re.fullmatch(r"[0-9a-fA-F]{64}", given):
            return False
        presented, right = bytes.fromhex(given), False
        for secret in secrets:
            right |= hmac.compare_digest(hmac.digest(secret.encode(), body, hashlib.sha256), presented)
        return right

    return proof


def signed_or_token(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """GitLab: the Standard Webhooks signature of id, time and body, or the secret itself as a token.

    A secret that begins with `whsec_` is for signing alone: as a token it opens nothing.
    """
    token = headers.get("x-gitlab-token", "").encode("latin-1", "replace")
    right = False
    for secret in secrets:
        if not secret.startswith(SIGNING_PREFIX):
            right |= hmac.compare_digest(secret.encode(), token)
    return right | _standard(headers, body, secrets, now)


def _standard(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    stamp = headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(now - int(stamp)) > MOST_AGE_S:
        return False
    versions = (part.partition(",") for part in headers.get("webhook-signature", "").split(" ")[:8])
    presented = [decoded for version, _, text in versions if version == "v1" and (decoded := _unbase64(text))]
    said = b"%s.%s.%s" % (headers.get("webhook-id", "").encode("latin-1", "replace"), stamp.encode(), body)
    right = False
    for secret in secrets:
        keys = [secret.encode()]
        if secret.startswith(
            SIGNING_PREFIX
        ):  # a forge may take it as it stands, the specification takes what it encodes
            keys += filter(None, [_unbase64(secret.removeprefix(SIGNING_PREFIX))])
        for key in keys:
            digest = hmac.digest(key, said, hashlib.sha256)
            for signature in presented:
                right |= hmac.compare_digest(digest, signature)
    return right


def password(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Basic authentication: the secret is the password, the user's name does not matter."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    given = (_unbase64(text.strip()) or b"").partition(b":")[2] if scheme.lower() == "basic" else b""
    right = False
    for secret in secrets:
        right |= hmac.compare_digest(secret.encode(), given)
    return right


def _unbase64(text: str) -> bytes | None:
    """What base64 stands for; None where it is not written in the one way in which that is written."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None
