"""The real command over real repositories."""

from __future__ import annotations

import pytest
from commandline import FILES, Command, repository


@pytest.fixture
def command(tmp_path):
    """The command with an empty data folder."""
    return Command(tmp_path / "home")


@pytest.fixture(scope="session")
def indexed(tmp_path_factory):
    """The command over an index of one small repository, `indexed.repo`. Tests that use it change nothing."""
    folder = tmp_path_factory.mktemp("indexed")
    found = Command(folder / "home")
    found.repo = repository(folder / "pay", {**FILES, "logo.bin": b"\0\1\2" * 100})
    done = found("index", found.repo)
    assert done.returncode == 0, done.stderr
    return found
