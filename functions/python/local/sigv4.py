"""Whether a request carries a valid AWS Signature Version 4, computed by botocore, AWS' own."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timedelta, timezone

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)
# What AWS allows clocks to differ by.
SKEW = timedelta(minutes=5)


def problem(request, access_key: str, secret: str, token: str | None = None, service: str = "lambda") -> str | None:
    """Why the request is refused; None where its signature is right."""
    found = HEADER.fullmatch(request.headers.get("authorization", ""))
    if not found:
        return "Missing Authentication Token"
    key, day, region, named, signed, signature = found.groups()
    if key != access_key or request.headers.get("x-amz-security-token") != token:
        return "The security token included in the request is invalid."
    signed, stamp = signed.split(";"), request.headers.get("x-amz-date", "")
    needed = {"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
    if named != service or not needed <= set(signed) or not stamp.startswith(day):
        return "Credential should be scoped to the service and the date, and host and date be signed."
    body_hash = hashlib.sha256(request.body).hexdigest()
    if request.headers.get("x-amz-content-sha256", body_hash) != body_hash:
        return "The provided 'x-amz-content-sha256' header does not match what was computed."
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    if abs(datetime.now(timezone.utc) - at) > SKEW:
        return "Signature expired"
    return None if hmac.compare_digest(signature, expected(request, signed, region, service, Credentials(access_key, secret), stamp)) else (
        "The request signature we calculated does not match the signature you provided."
    )  # fmt: skip


def expected(request, signed: list, region: str, service: str, credentials: Credentials, stamp: str) -> str:
    auth = SigV4Auth(credentials, service, region)
    kept = {name: request.headers[name] for name in signed if name in request.headers}
    again = AWSRequest(request.method, f"https://{request.headers['host']}{request.path}", headers=kept, data=request.body)
    again.context["timestamp"] = stamp
    return auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
