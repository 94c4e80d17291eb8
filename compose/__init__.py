"""The servers that team mode needs, started with nothing but Python: real Elasticsearch and Redis from wheels and pinned jars."""

from __future__ import annotations
