"""Alibaba Cloud Function Compute 3.0: `handler` takes events by an HTTP trigger of a built-in Python runtime, `timer` is for a time trigger."""

import json

from tidegate_functions import jobs, proxy
from tidegate_functions.ingest import text
from tidegate_functions.store import shared_store


def handler(event, context):
    return proxy.answer(json.loads(event), shared_store())


def timer(event, context):
    return text(jobs.run(shared_store()))
