"""The real servers that the suite runs against: started once when first asked for, stopped at the end whatever happens.

Where they cannot start, the tests that need them fail with the reason: a suite that skips them proves nothing.
"""

from __future__ import annotations

import pytest

from codequarry.compose import servers


def _elasticsearch(tmp_path_factory, version):
    data_dir = tmp_path_factory.mktemp(f"elasticsearch-{version}")
    ports = {"elasticsearch": servers.free_port()}
    running = servers.up(["elasticsearch"], version, data_dir=data_dir, docker=False, ports=ports, tied=True)
    yield running.urls["elasticsearch"]
    servers.down(data_dir=data_dir)


@pytest.fixture(scope="session")
def elasticsearch_url(tmp_path_factory):
    """The address of a real node of the version that is recommended."""
    yield from _elasticsearch(tmp_path_factory, "9.5.3")


@pytest.fixture(scope="session")
def elasticsearch_8_url(tmp_path_factory):
    """The address of a real node of the oldest line that is supported."""
    yield from _elasticsearch(tmp_path_factory, "8.19.21")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """The address of a real server that speaks Redis' protocol."""
    data_dir = tmp_path_factory.mktemp("redis")
    ports = {"redis": servers.free_port()}
    running = servers.up(["redis"], data_dir=data_dir, docker=False, ports=ports, tied=True)
    yield running.urls["redis"]
    servers.down(data_dir=data_dir)
