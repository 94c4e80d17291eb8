"""How weights are fitted and judged: the minimum is one, targets rise, and the measures are those of the labels."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import fit
import scoring
from scoring import Label, by_repository, interval, measures

from codequarry.search import rank
from codequarry.search.fitting import minimum


def label(query="q", *, repo="a", relevant=("x.py",), secondary=(), name="set"):
    targets = [tuple({"path": path} for path in paths) for paths in (relevant, secondary)]
    return Label(name, repo, f"org/{repo}", "python", "semantic", query, *targets)


def hit(path, start=1, end=50):
    return {"path": path, "start_line": start, "end_line": end}


def example(rows, targets, *, repo="a", name="set"):
    rows, targets = np.array(rows, float), np.array(targets, float)
    return SimpleNamespace(
        label=label(repo=repo, name=name),
        rows=rows,
        targets=targets,
        rules=np.zeros(len(rows)),
        files=[None] * len(rows),
    )


def test_the_minimum_of_a_bowl_is_its_bottom():
    rng = np.random.default_rng(1)
    half = rng.normal(size=(12, 12))
    bowl, bottom = half @ half.T + np.eye(12), rng.normal(size=12)

    def function(at):
        slope = bowl @ (at - bottom)
        return float((at - bottom) @ slope / 2), slope

    assert minimum(function, np.zeros(12)) == pytest.approx(bottom, abs=1e-3)


def test_a_fit_weighs_what_tells_targets_from_others_and_leaves_alone_what_does_not():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(60):
        rows = rng.normal(size=(8, 3))
        rows[:, 2] = 1.0  # the same everywhere: nothing can be learnt from it
        found.append(example(rows, [2.0 if at == rows[:, 0].argmax() else 0.0 for at in range(8)]))
    weights = fit.fit(found, 0.01, {}, range(3))
    assert weights[0] > 2
    assert abs(weights[1]) < 0.3
    assert weights[2] == 0
    assert fit.fit(found, 0.01, {}, [1, 2])[0] == 0


def test_a_set_that_counts_nothing_teaches_nothing():
    right = [example([[1.0], [0.0]], [2, 0]) for _ in range(5)]
    wrong = [example([[0.0], [1.0]], [2, 0], name="other") for _ in range(50)]
    assert fit.fit([*right, *wrong], 0.01, {"other": 0.0}, [0])[0] > 0
    assert fit.fit([*right, *wrong], 0.01, {}, [0])[0] < 0


def test_a_question_is_judged_by_weights_of_other_repositories(monkeypatch):
    seen = []

    def spy(found, *rest):
        seen.append({one.label.home for one in found})
        return np.zeros(1)

    monkeypatch.setattr(fit, "fit", spy)
    found = [example([[1.0]], [2], repo=repo) for repo in ("a", "b", "c")]
    for one in found:
        one.hits_by_form = lambda features, weights: [hit("x.py")]
    assert [one["ndcg"] for one in fit.held_out(found, rank.feature_sets()[0], 0.01, {}, [0])] == [1.0, 1.0, 1.0]
    assert seen == [{"org/b", "org/c"}, {"org/a", "org/c"}, {"org/a", "org/b"}]


def test_weights_that_are_known_stay_and_the_others_are_fitted_beside_them():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(40):
        rows = rng.normal(size=(6, 2))
        found.append(example(rows, [2.0 if at == rows[:, 0].argmax() else 0.0 for at in range(6)]))
    weights = fit.fit(found, 0.01, {}, [0], known=np.array([0.0, -3.0]))
    assert weights[1] == -3
    assert weights[0] > 1


def test_measures_count_each_target_at_its_first_hit():
    one = label(relevant=("a/x.py",), secondary=("y.py",))
    assert measures(one, [hit("a/x.py"), hit("y.py")])["ndcg"] == 1
    assert measures(one, [hit("src/a/x.py"), hit("src/a/x.py"), hit("y.py")])["ndcg"] == pytest.approx(
        (1 + 1 / 2) / (1 + 1 / np.log2(3))
    )
    late = measures(one, [*[hit(f"{n}.py") for n in range(6)], hit("y.py")])
    assert (late["hit@1"], late["hit@5"], late["hit@10"], late["recall@10"]) == (0, 0, 1, 0.5)
    assert measures(one, [])["ndcg"] == 0


def test_a_target_with_lines_needs_a_hit_that_has_one_of_them():
    one = Label("s", "a", "a", "python", "c", "q", ({"path": "x.py", "start_line": 10, "end_line": 20},), ())
    assert measures(one, [hit("x.py", 20, 60)])["ndcg"] == 1
    missed = measures(one, [hit("x.py", 21, 60)])
    assert missed["ndcg"] == 0
    assert missed["hit@1"] == 1  # the file is right


def test_the_headline_is_the_mean_of_repositories_and_its_interval_has_it():
    labels = [label(repo="a"), label(repo="b"), label(repo="b"), label(repo="b")]
    assert by_repository(labels, [1.0, 0.0, 0.0, 0.0]) == 0.5
    many = [label(repo=str(n)) for n in range(40)]
    scores = [n % 2 * 1.0 for n in range(40)]
    low, high = interval(many, scores)
    assert low < 0.5 < high
    assert interval(many, [score + 0.25 for score in scores], scores) == (0.25, 0.25)


def test_questions_about_trees_that_are_not_there_are_left_out(tmp_path):
    query = {"query": "q", "category": "c", "relevant": [{"path": "x"}], "secondary": []}
    repos = [{"name": name, "language": "go", "github": f"org/{name}", "queries": [query]} for name in ("here", "gone")]
    (tmp_path / "set.json").write_text(json.dumps(repos), encoding="utf-8")
    (tmp_path / "repos" / "here").mkdir(parents=True)
    found = scoring.read_labels(tmp_path / "set.json")
    assert [(one.set, one.repo, one.home) for one in found] == [("set", "here", "org/here")]
