"""Alibaba Cloud Function Compute 3.0: events by an HTTP trigger of a built-in Python runtime."""

import json

from tidegate_functions import proxy
from tidegate_functions.store import shared_store


def handler(event, context):
    return proxy.answer(json.loads(event), shared_store())
