"""Killed at any point and run again, an index equals one that was never disturbed."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from codequarry import connect


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """600 files of made-up code, enough for several batches and worker processes."""
    folder = tmp_path_factory.mktemp("tree")
    rng = random.Random(1)
    for number in range(600):
        lines = [
            line
            for part in range(rng.randint(1, 12))
            for line in (
                f"def task_{number}_{part}(value):",
                f'    """Does {rng.choice("abcdef")}{part}."""',
                *["    value += 1"] * 12,
                "",
            )
        ]
        path = folder / f"pack{number % 20}" / f"module_{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines))
    return folder


def index(location, tree):
    return subprocess.Popen(
        [sys.executable, "-m", "codequarry", "--store", location, "index", tree, "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"CODEQUARRY_WORKERS": "2", "CODEQUARRY_MODEL": "hash:64"},
        start_new_session=True,
    )


def dump(location):
    with connect(location, create=False) as quarry:
        return list(quarry.dump())


@pytest.mark.slow
def test_killed_at_ten_random_points_an_index_equals_a_clean_one(store_location, tree):
    clean, disturbed = store_location("clean"), store_location("disturbed")
    started = time.monotonic()
    whole = index(clean, tree)
    assert whole.wait(120) == 0, whole.stderr.read()
    needed = time.monotonic() - started
    rng = random.Random(20261124)
    killed = 0
    for _ in range(10):
        run = index(disturbed, tree)
        try:
            run.wait(rng.uniform(0.1, 0.9) * needed)
        except subprocess.TimeoutExpired:
            killed += 1
        os.killpg(run.pid, signal.SIGKILL) if run.returncode is None else None
        run.wait()
        run.stderr.close()
    last = index(disturbed, tree)
    assert last.wait(120) == 0, last.stderr.read()
    last.stderr.close(), whole.stderr.close()
    assert killed, "no run was killed: the tree is too small for this machine"
    assert dump(disturbed) == dump(clean) != []
