"""The fixtures of a team."""

from __future__ import annotations

from team import redis, team

__all__ = ["redis", "team"]
