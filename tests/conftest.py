"""The real servers that the suite runs against: started once when first asked for, stopped at the end whatever happens.

Where they cannot start, the tests that need them fail with the reason: a suite that skips them proves nothing.
"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import tempfile
import urllib.request
from pathlib import Path

import pytest
from hypothesis import settings

from codequarry.compose import servers

# How long an example takes says nothing on a machine that has other work.
settings.register_profile("codequarry", deadline=None)
settings.load_profile("codequarry")

# A suite that is started in the background inherits that Ctrl-C is ignored, and so would the commands that it interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

URLS: list[str] = []  # of the nodes that were started


def _elasticsearch(version):
    # In memory where there is enough: the suite makes hundreds of indices, each of which waits for the disk a hundred times.
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30
    data_dir = Path(tempfile.mkdtemp(prefix="codequarry-test-", dir=memory if roomy else None))
    try:
        ports = {"elasticsearch": servers.free_port()}
        running = servers.up(["elasticsearch"], version, data_dir=data_dir, docker=False, ports=ports, tied=True)
        URLS.append(running.urls["elasticsearch"])
        yield running.urls["elasticsearch"]
    finally:
        servers.down(data_dir=data_dir)
        shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
def elasticsearch_url():
    """The address of a real node of the version that is recommended."""
    yield from _elasticsearch("9.5.3")


@pytest.fixture(scope="session")
def elasticsearch_8_url():
    """The address of a real node of the oldest line that is supported."""
    yield from _elasticsearch("8.19.21")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """The address of a real server that speaks Redis' protocol."""
    data_dir = tmp_path_factory.mktemp("redis")
    ports = {"redis": servers.free_port()}
    running = servers.up(["redis"], data_dir=data_dir, docker=False, ports=ports, tied=True)
    yield running.urls["redis"]
    servers.down(data_dir=data_dir)


@pytest.fixture
def elasticsearch_prefix():
    """A prefix for the names of indices that no other test has; they are deleted afterwards."""
    prefix = f"test-{secrets.token_hex(4)}"
    yield prefix
    for url in URLS:
        with urllib.request.urlopen(
            f"{url}/{prefix}-*/_settings?filter_path=*.settings.index.uuid", timeout=60
        ) as reply:
            names = ",".join(json.load(reply))
        if names:
            urllib.request.urlopen(urllib.request.Request(f"{url}/{names}", method="DELETE"), timeout=60).close()
