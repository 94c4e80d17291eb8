"""Commit subjects of a labels file's repositories, as labels that the fit reads and leaves out with their repository."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import from_history
import subjects
from scoring import read_labels

from codequarry.search import labels


def git(folder, *arguments):
    command = ["git", "-C", folder, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def given(tmp_path):
    """Labels of two repositories, one with a clone; its tree is that of the labels' revision."""
    clone, tree = tmp_path / "mirrors" / "acme+api" / "repo", tmp_path / "bench" / "repos" / "api" / "src"
    clone.mkdir(parents=True)
    git(clone, "init", "-q", "-b", "main")
    for number in range(4):
        (clone / "src").mkdir(exist_ok=True)
        (clone / "src" / f"part{number}.py").write_text("part = 1\n")
        git(clone, "add", "-A")
        git(clone, "commit", "-q", "-m", f"fix: retry part {number} of it (#{number})")
    rows = [
        {"name": "api", "github": "acme/api", "language": "python", "revision": git(clone, "rev-parse", "HEAD~1")},
        {"name": "web", "github": "acme/web", "language": "python", "revision": "0" * 40},
    ]
    tree.mkdir(parents=True)
    for number in range(4):
        (tree / f"part{number}.py").write_text("part = 1\n")
    file = tmp_path / "bench" / "dev.json"
    file.write_text(json.dumps([row | {"queries": []} for row in rows]))
    return file


def test_subjects_up_to_the_revision_are_labels_of_their_repository(given, tmp_path, monkeypatch, capsys):
    out = tmp_path / "subjects" / "dev-subjects.json"
    monkeypatch.setattr(
        sys, "argv", ["subjects.py", str(given), "--mirrors", str(tmp_path / "mirrors"), "--out", str(out)]
    )
    subjects.main()
    assert "web: left out" in capsys.readouterr().out
    found = read_labels(out)
    assert sorted(label.query for label in found) == [f"retry part {number} of it" for number in range(3)]
    assert {(label.set, label.home) for label in found} == {("dev-subjects", "acme/api")}
    assert [label.question for label in labels.read_labels(out)] == [label.query for label in found]
    monkeypatch.setattr(sys, "argv", [*sys.argv[:-1], str(tmp_path / "subjects" / "again.json"), "--count", "2"])
    subjects.main()
    assert len(read_labels(tmp_path / "subjects" / "again.json")) == 2


def test_no_file_answers_more_subjects_than_are_asked_for():
    answers = ("a", "ab", "b", "ca", "c")
    found = [SimpleNamespace(label=SimpleNamespace(relevant=[{"path": path} for path in paths])) for paths in answers]
    assert from_history.of_few_files(found, 1) == [found[0], found[2], found[4]]
    assert from_history.of_few_files(found, 2) == [found[0], found[1], found[2], found[4]]
    assert from_history.of_few_files(found, 3) == found
