"""What a search imports: start-up is a feature, and one careless import line can double it."""

import os
import subprocess
import sys

HEAVY = """numpy pydantic rich typer click elasticsearch elastic_transport torch asyncio importlib.metadata logging tree_sitter
    multiprocessing concurrent.futures pygments orjson yaml requests urllib.request http.client ssl email.parser tomllib
    difflib unittest codequarry.search.issue codequarry.search.frames""".split()


def imported_by(indexed, *words):
    code = (
        "import sys; from codequarry.service.cli import main; code = main(sys.argv[1:]);"
        "sys.stderr.write('\\n'.join(sorted(sys.modules))); sys.exit(code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=indexed.home,
        env=indexed.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout
    return set(run.stderr.split())


def test_a_search_imports_nothing_heavy(indexed):
    for words in (
        ["search", "retry"],
        ["search", "retry", "--json", "--no-refresh"],
        ["search", "-path:x lang:go /Parse.*/"],
    ):
        imported = imported_by(indexed, *words)
        assert "codequarry.search" in imported
        assert not imported & set(HEAVY)


def test_a_search_starts_no_other_program(indexed):
    """A search on an index of a folder that has not changed asks git nothing; starting it would cost more than searching."""
    path = indexed.home / "bin"
    path.mkdir()
    (path / "git").write_text(f"#!/bin/sh\necho started >> {path}/log\nexit 1\n", encoding="utf-8")
    (path / "git").chmod(0o755)
    done = indexed("search", "retry", env={"PATH": f"{path}:{os.environ['PATH']}"})
    assert (done.returncode, done.stderr) == (0, "")
    assert not (path / "log").exists()
