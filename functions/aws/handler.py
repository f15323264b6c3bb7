"""AWS Lambda: events by a function URL or by the Invoke API, and `{"task": "run"}` by EventBridge Scheduler."""

import logging

from tidegate_functions import ingest, jobs, proxy
from tidegate_functions.store import shared_store

log = logging.getLogger("tidegate")


def handler(event, context):
    if "requestContext" in event:
        return proxy.answer(event, shared_store())
    if "events" in event:
        return invoked(event["events"])
    if event.get("task") == "run":
        return jobs.run(shared_store())
    raise ValueError('this is no request of a function URL, no {"events": […]} and no {"task": "run"}')


def invoked(events):
    """An invocation has no status to say 503 with, so every event is named as one that has to come again."""
    try:
        return ingest(events, shared_store())
    except ValueError:
        raise  # A wrong setting, or an event that cannot be named: somebody has to look.
    except Exception:
        log.exception("the store took nothing")
        return {"failed": [{"id": event["id"], "retry": True} for event in events]}
