"""From the bytes and headers of a request to the CloudEvents in it: structured, batch, binary, and AWS Lambda's `{"events": […]}`."""

from __future__ import annotations

import json
import zlib

# Unpacked. A gateway sends at most a few hundred KiB; this bounds what a hostile request can take.
BODY_BYTES_MAX = 32 * 1024 * 1024

BATCH = "application/cloudevents-batch+json"


class Unreadable(Exception):
    """The whole request is refused with this status. 400 splits a batch, 413 makes it smaller, 415 keeps everything."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


def items_of(raw: bytes, headers) -> list:
    """The events of a request, not yet checked. `headers`: any mapping; the case of the names does not matter."""
    headers = {str(name).lower(): str(value) for name, value in dict(headers).items()}
    body = unpacked(raw, headers.get("content-encoding", "").strip().lower())
    try:
        content = json.loads(body.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Unreadable(400, "the body is no JSON in UTF-8") from None
    if "ce-id" in headers:
        return [from_binary(headers, content)]
    return from_json(content, headers.get("content-type", "").split(";")[0].strip().lower())


def refuse(constant: str):
    """Python reads NaN and Infinity, which are no JSON."""
    raise ValueError(constant)


def from_json(content: object, content_type: str = "") -> list:
    """A batch is a list, or `{"events": […]}`; everything else is one event."""
    if isinstance(content, dict) and "specversion" not in content and isinstance(content.get("events"), list):
        return content["events"]
    if isinstance(content, list):
        return content
    if content_type == BATCH:
        raise Unreadable(400, "a batch is a JSON list of events")
    return [content]


def from_binary(headers: dict, data: object) -> dict:
    """CloudEvents HTTP protocol binding 1.0.2, section 3.1: attributes are headers that begin with `ce-`."""
    event = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
    event["data"] = data
    return event


def from_cloudevent(event) -> dict:
    """What functions-framework hands to a `@functions_framework.cloud_event` function."""
    found = {name: event[name] for name in ("specversion", "id", "source", "type")}
    data = event.data
    found["data"] = json.loads(data) if isinstance(data, (bytes, str)) else data
    return found


def unpacked(raw: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        body = raw
    elif encoding in ("gzip", "x-gzip"):
        body = gunzip(raw)
    elif encoding == "zstd":
        body = unzstd(raw)
    else:
        raise Unreadable(415, f"content-encoding {encoding[:20]!r} is not known here; set compression = \"gzip\" in the output")
    if len(body) > BODY_BYTES_MAX:
        raise Unreadable(413, f"the body is greater than {BODY_BYTES_MAX} bytes")
    return body


def gunzip(raw: bytes) -> bytes:
    # Not gzip.decompress: that has no bound.
    unpack = zlib.decompressobj(wbits=31)
    try:
        body = unpack.decompress(raw, BODY_BYTES_MAX + 1)
    except zlib.error:
        raise Unreadable(400, "the body is not gzip, and content-encoding says so") from None
    if not unpack.eof and len(body) <= BODY_BYTES_MAX:
        raise Unreadable(400, "the gzip body is cut short")
    return body


def unzstd(raw: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise Unreadable(415, "zstd is not installed here: pip install zstandard, or set compression = \"gzip\"") from None
    try:
        with zstandard.ZstdDecompressor(max_window_size=BODY_BYTES_MAX).stream_reader(raw) as reader:
            return reader.read(BODY_BYTES_MAX + 1)
    except zstandard.ZstdError:
        raise Unreadable(400, "the body is not zstd, and content-encoding says so") from None
