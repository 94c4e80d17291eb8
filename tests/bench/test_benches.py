"""The benches that fetch released packages: what they draw and hide, what counts as found, and the gate itself."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import gate
import intent
import many
import released
from registries import Package
from released import Released
from scoring import Label, mean, read_labels, tree_of

PYTHON = '''\
"""Records on disk."""


def flush(log):
    """Writes the buffered records of a log to its file."""
    log.file.write(log.buffer)
    log.buffer.clear()


def close(log):
    """Close the log and release every lock on it."""
    flush(log)
    log.file.close()
'''


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A wheel with one module, as a registry's client leaves it in the cache."""
    archive = tmp_path / "cache" / "pypi" / "log" / "log-1.0-py3-none-any.whl"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("log/records.py", PYTHON)
        packed.writestr("log/tests/test_records.py", PYTHON)
    return Package("pypi", "log", "1.0", archives=[archive])


def row(sha256: str = "") -> Released:
    return Released("pypi", "log", "1.0", sha256, "python", "MIT", "someone/log")


def test_a_documented_function_is_drawn_with_its_lines_unless_its_name_is_said(package: Package) -> None:
    (drawn,) = intent.draw(row(), package)
    (target,) = drawn.label.relevant
    assert drawn.label.query == "Writes the buffered records of a log to its file"
    lines = PYTHON.split("\n")[target["start_line"] - 1 : target["end_line"]]
    assert lines[0] == "def flush(log):"
    assert any("log.buffer.clear()" in line for line in lines)


def test_a_function_whose_code_stands_in_a_second_file_is_not_drawn(package: Package) -> None:
    with zipfile.ZipFile(package.archives[0], "a") as packed:
        bundle = "x = 1\n" + PYTHON.replace('    """Writes the buffered records of a log to its file."""\n', "\n")
        packed.writestr("log/bundle.py", bundle)
    assert list(intent.draw(row(), package)) == []


def test_what_is_asked_is_not_in_what_is_indexed_and_all_else_is(package: Package, tmp_path: Path) -> None:
    drawn = list(intent.draw(row(), package))
    released.lay_out(row(), package, tmp_path / "tree", intent.Hidden(drawn).without)
    (file,) = [path for path in (tmp_path / "tree").rglob("*") if path.is_file()]
    kept = [
        line for line in PYTHON.split("\n") if line.strip() != '"""Writes the buffered records of a log to its file."""'
    ]
    text = file.read_text()
    assert [line for line in text.split("\n") if line.strip()] == [line for line in kept if line.strip()]
    assert text.count("\n") == PYTHON.count("\n")


def test_questions_to_fit_to_are_written_with_the_file_and_a_tree_without_the_answer(
    package: Package, tmp_path: Path
) -> None:
    intent.write_labels({row(): package}, tmp_path / "descriptions.json")
    (label,) = read_labels(tmp_path / "descriptions.json")
    assert (label.query, label.home) == ("Writes the buffered records of a log to its file", "someone/log")
    assert [target["path"] for target in label.targets] == ["log/records.py"]
    assert label.query not in (tree_of(tmp_path / "descriptions.json", "log") / "log" / "records.py").read_text()


def test_no_package_is_both_fitted_to_and_measured_with() -> None:
    fitted = released.read_table(intent.TABLE.with_name("descriptions.tsv"))
    released.kept_apart(fitted, [])
    measured = [*released.read_table(intent.TABLE), *released.read_table(gate.FOLDER / "packages.tsv")]
    assert not {one.repository.lower() for one in fitted} & {one.repository.lower() for one in measured}
    assert not {one.label.lower() for one in fitted} & {one.label.lower() for one in measured}


def test_an_archive_that_is_not_the_pinned_one_is_refused(package: Package, tmp_path: Path) -> None:
    pinned = released.digest(package.archives[0])
    assert [one.archives for one in released.fetch([row(pinned)], tmp_path / "cache").values()] == [package.archives]
    with pytest.raises(SystemExit, match="pinned is 00"):
        released.fetch([row("00" * 32)], tmp_path / "cache")


def test_no_benchmark_has_a_package_that_the_model_was_trained_on(tmp_path: Path) -> None:
    for table in (intent.TABLE, gate.FOLDER / "packages.tsv"):
        rows = released.read_table(table)
        released.kept_apart(rows, [])
        apart = tmp_path / "apart.txt"
        apart.write_text(f"another-owner/{rows[0].label}\n")
        with pytest.raises(SystemExit, match="known already"):
            released.kept_apart(rows, [apart])


def test_labels_without_a_tree_beside_them_are_no_benchmark(tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text('[{"name": "app", "language": "go", "queries": [{"query": "lock"}]}]', encoding="utf-8")
    with pytest.raises(SystemExit, match="lay out its trees"):
        read_labels(labels)


def test_a_file_of_another_repository_does_not_count_as_found() -> None:
    label = Label("set", "one", "me/one", "go", "question", "where?", ({"path": "a/b.go"},), ())
    hits = [{"repo": "two", "path": "a/b.go"}, {"repo": "one", "path": "a/b.go"}]
    found = many.scored(label, {"hits": hits})
    assert (found["hit@1"], found["hit@5"], found["repo@1"], found["repo@10"]) == (0, 1, 0, 1)


def test_the_gate_fails_beyond_noise_only() -> None:
    labels = gate.read_questions()
    then = (0.75,) * len(labels)
    one_lost, ten_lost = (0.0, *then[1:]), (0.0,) * 10 + then[10:]
    assert gate.Outcome(labels, then, then).passes
    assert gate.Outcome(labels, one_lost, then).passes
    assert not gate.Outcome(labels, ten_lost, then).passes


@pytest.mark.slow
def test_search_answers_as_well_as_it_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_RETRIES", "NPM_CONFIG_FETCH_RETRIES", "CARGO_NET_RETRY"):
        monkeypatch.setenv(name, "0")  # without a network it is to be said at once
    labels = gate.read_questions()
    try:
        reached = gate.scores(labels, gate.default_cache())
    except released.NotFetchedError as error:
        pytest.skip(f"the packages of the gate cannot be had: {error}")
    outcome = gate.Outcome(labels, reached, gate.recorded(labels))
    assert outcome.passes, f"{outcome}; bench/gate.py --worst 20 shows where"
    assert mean(reached) > 0.5
