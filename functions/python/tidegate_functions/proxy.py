"""HTTP requests as AWS Lambda function URLs and Alibaba Cloud's HTTP triggers describe them to a handler, and the answer they expect.

Both wrap a request in an object with `headers`, `body` and `isBase64Encoded`, and read `statusCode`, `headers` and `body` of the answer:
"Request and response payloads" of function URLs (AWS Lambda developer guide), "Use an HTTP trigger to invoke a function" (Function
Compute 3.0 user guide).
"""

from __future__ import annotations

import base64
import binascii

from . import ingest


def body_of(event: dict) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return b""  # Which is no JSON, and refused as such.


def answer(event: dict, store) -> dict:
    status, outcome = ingest.answer(body_of(event), event.get("headers") or {}, store)
    headers = {"Content-Type": "application/json"}
    return {"statusCode": status, "headers": headers, "isBase64Encoded": False, "body": ingest.text(outcome)}
