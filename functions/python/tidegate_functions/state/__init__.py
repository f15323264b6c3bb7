"""Reads `data.state`, merges it, and computes what the gateway would have computed of the whole: docs/state.md.

    whole = merged([event["data"]["state"] for event in minutes])
    whole.lane("temperature").value("p95")
"""

from .partial import Lane, Partial, merged
from .wire import Unreadable

__all__ = ["Lane", "Partial", "Unreadable", "merged"]
