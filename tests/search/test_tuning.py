"""Weights fitted to a team's questions: they begin with those that ship, move as far as the questions say, and are used."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from builders import EMBEDDER, RECIPE, publish

from codequarry.errors import BadInput, SettingsError
from codequarry.search import Engine
from codequarry.search.feature_set import WEIGHTS_FILE, digest, tuned_weights, weights_of
from codequarry.search.features_short import SHORT
from codequarry.search.fitting import fit
from codequarry.search.labels import Label
from codequarry.search.tuning import LEAST, known_questions, reset, summary, tune, write
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Source

PRIOR = np.array([weights_of("short").values.get(one.name, 0.0) for one in SHORT.features])
WORDS = "amber birch cedar delta ember fjord grove haven inlet jetty knoll lotus".split()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two repositories in which people mean the settings, not the code: each thing has a module, a test and a settings file."""
    with_index = EmbeddedStore(tmp_path_factory.mktemp("tuning") / "index", create=True)
    with_index.prepare(EMBEDDER, RECIPE)
    for repo in ("one", "two"):
        files = {}
        for word in WORDS:
            files[f"src/{word}.py"] = f"def {word}(stone):\n    return polish({word}, stone)\n"
            files[f"conf/{word}.toml"] = f"[{word}]\nstone = 3\npolish = true\n"
        publish(with_index, Source(f"example.org/acme/{repo}", "main"), files)
    yield with_index
    with_index.close()


def labels(*repos, folder="conf", ending="toml", words=WORDS):
    return [
        Label(f"{word} stone", (repo,), ({"path": f"{folder}/{word}.{ending}", "start_line": None, "end_line": None},))
        for repo in repos
        for word in words
    ]


def known(store, given):
    return known_questions(given, store.sources(), store, EMBEDDER)


def first_paths(engine):
    return [engine.search(f"{word} stone", repo="acme/one").hits[0].path for word in WORDS]


def lists(count, width, right, rng):
    found = []
    for _ in range(count):
        rows = rng.normal(size=(8, width))
        best = rows[:, right].argmax()
        targets = np.where(np.arange(8) == best, 2.0, 0.0)
        found.append(SimpleNamespace(rows=rows, rules=np.zeros(8), targets=targets))
    return found


def test_a_fit_starts_at_the_prior_and_goes_as_far_as_the_ridge_lets_it():
    learnt, prior = lists(50, 3, 0, np.random.default_rng(1)), np.array([0.0, 1.5, -2.0])
    far, near = (fit(learnt, ridge, range(3), [1.0] * 50, prior) for ridge in (0.01, 1e6))
    assert near == pytest.approx(prior, abs=1e-3)
    assert far[0] > 1
    assert abs(far[1]) < 1.5 and abs(far[2]) < 2  # that they mislead has been learnt
    assert fit(learnt, 0.01, [0], [1.0] * 50, prior)[1:] == pytest.approx(prior[1:])


def test_what_the_questions_never_show_stays_as_it_ships():
    learnt = lists(20, 3, 0, np.random.default_rng(2))
    for one in learnt:
        one.rows[:, 2] = 1.0
    assert fit(learnt, 0.1, range(3), [1.0] * 20, np.array([0.0, 0.0, -3.5]))[2] == -3.5


def test_questions_that_mean_other_files_than_usual_are_learnt_held_out(store, tmp_path):
    found, left_out = known(store, labels("acme/one", "acme/two"))
    assert (len(found), left_out) == (24, [])
    tuning = tune(found)
    assert (tuning.by, tuning.folds) == ("repositories", 2)
    assert tuning.gain > 0.1 and tuning.helps
    assert {name: now - was for name, was, now in tuning.moved()}["config"] > 0
    told = summary(tuning)
    assert json.loads(json.dumps(told)) == told
    assert set(told["repositories"]) == {"example.org/acme/one", "example.org/acme/two"}

    file = tmp_path / "own" / "weights.json"
    engine = Engine(store, EMBEDDER, weights_file=str(file))
    before = first_paths(engine)
    write(file, tuning)
    assert list(file.parent.iterdir()) == [file]
    after = first_paths(engine)  # of the same engine: a service need not be started anew
    assert sum(path.startswith("conf/") for path in after) > sum(path.startswith("conf/") for path in before)
    (weights,) = tuned_weights(str(file))[0].values()
    assert weights.digest == digest(tuning.weights)
    hit = engine.search("amber stone", repo="acme/one", explain=True).hits[0]
    assert sum(hit.why["signals"].values()) == pytest.approx(hit.score)
    assert reset(file) and not reset(file)
    assert first_paths(engine) == before


def test_what_the_weights_do_right_already_is_not_called_a_gain(store):
    tuning = tune(known(store, labels("acme/one", folder="src", ending="py"))[0])
    assert (tuning.by, tuning.folds) == ("questions", 10)
    assert not tuning.helps
    assert tuning.gain > -0.05


def test_few_questions_are_refused_and_those_of_other_forms_left_out(store):
    with pytest.raises(BadInput, match=f"{LEAST} are needed"):
        tune(known(store, labels("acme/one", words=WORDS[: LEAST - 1]))[0])
    target = ({"path": "src/amber.py", "start_line": None, "end_line": None},)
    asked = [("stone", ()), ('"stone"', ("acme/one",)), ("stone", ("acme/none",)), ("amber", ("acme/one",))]
    found, left_out = known(store, [Label(question, repos, target) for question, repos in asked])
    assert [one.label.question for one in found] == ["amber"]
    assert [why for _, why in left_out] == [
        "it finds files of several repositories: say which is meant",
        "long texts and exact patterns have rules of their own",
        "acme/none is not indexed",
    ]


def test_weights_from_another_version_are_not_used_and_a_note_says_so(store, tmp_path):
    file = tmp_path / "weights.json"
    old = {"short": {"fitted": {"from": "0" * 12}, "digest": "1" * 12, "weights": {"config": 100.0}}}
    file.write_text(json.dumps(old))
    answer = Engine(store, EMBEDDER, weights_file=str(file)).search("amber stone", repo="acme/one")
    assert "run codequarry tune again" in answer.notes[-1]
    assert answer.hits == Engine(store, EMBEDDER).search("amber stone", repo="acme/one").hits


@pytest.mark.parametrize("content", ["", "[]", '{"short": 3}', '{"short": {"weights": {"config": "x"}}}'])
def test_a_file_that_holds_no_weights_is_an_error_that_says_what_to_do(store, tmp_path, content):
    file = tmp_path / "weights.json"
    file.write_text(content)
    with pytest.raises(SettingsError) as refused:
        Engine(store, EMBEDDER, weights_file=str(file)).search("amber stone")
    assert str(file) in refused.value.message
    assert "tune --reset" in refused.value.hint


def test_the_weights_that_ship_are_neither_overwritten_nor_removed(store):
    tuning = tune(known(store, labels("acme/one"))[0])
    before = Path(WEIGHTS_FILE).read_bytes()
    for act in (lambda: write(Path(WEIGHTS_FILE), tuning), lambda: reset(Path(WEIGHTS_FILE))):
        with pytest.raises(BadInput):
            act()
    assert Path(WEIGHTS_FILE).read_bytes() == before
    assert tuned_weights(WEIGHTS_FILE) == ({}, "")
