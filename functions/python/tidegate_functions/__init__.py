"""The receiving side of tidegate.

A vendor's handler reads the request (`request`), the events in it are checked (`event`), kept (`store`), and by schedule merged
into hours and days (`rollup`) and looked through for what is unusual (`analyse`). `state` reads `data.state` (docs/state.md).
"""

from . import proxy
from .ingest import answer, ingest
from .store import open_store

__all__ = ["answer", "ingest", "open_store", "proxy"]
