"""One small index for all tests of search: two repositories of the same last name, a work tree, a second branch."""

from __future__ import annotations

import pytest
from builders import EMBEDDER, RECIPE, publish

from codequarry.search import Engine
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Source

API = Source("github.com/acme/api", "main")
API_DEV = Source("github.com/acme/api", "dev")
OTHER_API = Source("gitlab.example.org/group/api", "main")
FOLDER = Source("local//home/me/tool", "worktree:/home/me/tool")

RETRY = """class RetryPolicy:
    def wait(self, attempt):
        return backoff(attempt)

def backoff(attempt):
    # exponential backoff
    return 2 ** attempt

"""
API_FILES = {
    "src/retry.py": RETRY,
    "src/client.py": "from src.retry import RetryPolicy\n\n\nclass Client:\n    def send(self, request):\n"
    "        policy = RetryPolicy()\n        return policy.wait(1)\n\n",
    "src/http/server.go": "package http\n\nfunc ListenAndServe(addr string) error {\n\treturn nil\n}\n",
    "tests/test_retry.py": "from src.retry import backoff\n\ndef test_backoff():\n    assert backoff(1) == 2\n",
    "vendor/retry/retry.py": "def backoff(n):\n    # exponential backoff, copied\n    return n\n",
    "README.md": "# API\n\nRetry with exponential backoff: how it works.\n",
    "CHANGELOG.md": "# Changes\n\nBackoff is exponential. Retry policy added.\n",
    "conf/retry.toml": "[retry]\nattempts = 3\n",
}


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    with_index = EmbeddedStore(tmp_path_factory.mktemp("search") / "index", create=True)
    with_index.prepare(EMBEDDER, RECIPE)
    publish(with_index, API, API_FILES, web="https://github.com/acme/api", head="main")
    dev = API_FILES | {"src/retry.py": RETRY + "def jitter():\n    return 0\n"}
    publish(with_index, API_DEV, dev, web="https://github.com/acme/api", default=False)
    publish(
        with_index, OTHER_API, {"lib/waiting.py": RETRY}, web="https://gitlab.example.org/group/api", access=("staff",)
    )
    publish(
        with_index, FOLDER, {"tool.py": "def polish(stone):\n    return stone\n"}, modified=["tool.py"], head="main"
    )
    yield with_index
    with_index.close()


@pytest.fixture
def engine(store):
    return Engine(store, EMBEDDER)
