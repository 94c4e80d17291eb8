"""The shipped model, the distilled one, folders that other libraries save, names, and what a question costs."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
import sysconfig
from array import array
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

import codequarry
from codequarry import text
from codequarry.errors import BadInput, ModelError
from codequarry.models import open_embedder, vectors
from codequarry.models import static as static_model
from codequarry.models import terms as code_model
from codequarry.models.hashing import HashEmbedder
from codequarry.models.saved import quantise
from codequarry.models.static import StaticEmbedder
from codequarry.models.tables import read_table
from codequarry.settings import Settings

SHIPPED = Path(codequarry.__file__).parent / "data" / "code"
DISTILLED = Path(__file__).parents[2] / "training" / "distilled"
STATIC = f"static:{DISTILLED}"
KINDS = ["code", "static"]


@pytest.fixture(scope="module")
def static():
    return open_embedder(STATIC)


@pytest.fixture(scope="module")
def code():
    return open_embedder("code")


@pytest.fixture(scope="module", params=KINDS)
def either(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def library_chunks():
    """Chunks of 50 lines of Python's own library: text as it is, of every kind."""
    chunks = []
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:60]:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        chunks += ["\n".join(lines[at : at + 50]) for at in range(0, len(lines), 50)]
    return chunks


def vector(data):
    return np.frombuffer(data, np.int8).astype(np.float64)


def cosine(one, two):
    return float(vector(one) @ vector(two)) / 127**2


# ------------------------------------------------------------------------------------- the shipped model and the distilled


def test_the_shipped_model_is_small_and_says_where_it_comes_from(code):
    about = json.loads((SHIPPED / "model.json").read_text(encoding="utf-8"))
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 11_000_000
    assert (about["dim"], about["terms"], about["licence"]) == (256, 40_000, "Apache-2.0")
    assert "training/code/README.md" in about["method"]
    assert (code.name, code.dim, code.cached) == ("code", 256, False)


def test_the_default_model_is_the_shipped_one(code):
    default = open_embedder(Settings(data_dir=Path("x")).model)
    assert (default.name, default.fingerprint) == (code.name, code.fingerprint)


def test_the_distilled_model_says_where_it_comes_from(static):
    about = json.loads((DISTILLED / "model.json").read_text(encoding="utf-8"))
    assert (about["dim"], about["source"], about["licence"]) == (
        256,
        "sentence-transformers/all-MiniLM-L6-v2",
        "Apache-2.0",
    )
    assert (static.name, static.dim, static.cached) == (STATIC, 256, False)


@pytest.mark.parametrize(("folder", "name"), [(SHIPPED, "code"), (DISTILLED, STATIC)], ids=KINDS)
def test_a_model_s_files_are_those_that_its_fingerprint_was_made_of(folder, name):
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    lines = "terms.txt" if folder == SHIPPED else "tokens.txt"
    assert (
        vectors.digest(*[(folder / file).read_bytes() for file in ("rows.i8", "weights.u8", lines)]) == about["content"]
    )
    assert open_embedder(name).fingerprint.startswith(about["content"])


@pytest.mark.parametrize(
    ("file", "find"),
    [
        (SHIPPED / "terms.txt", lambda: open_embedder("code").find),
        (DISTILLED / "tokens.txt", lambda: read_table(str(DISTILLED), "tokens.txt").find),
    ],
    ids=KINDS,
)
def test_what_a_model_knows_is_sorted_and_each_is_found(file, find):
    known = file.read_bytes().split(b"\n")
    assert known == sorted(set(known))
    some = [*range(0, len(known), 97), len(known) - 1]
    assert [find()(known[row].decode()) for row in some] == some
    assert [find()(word) for word in ("", "!", "zzzzzz", "\U0010ffff", "retrx")] == [-1] * 5


def test_vectors_of_both_models_stay_what_they_are(code, static):
    """When this fails, indexes in use would mix two kinds of vectors: raise `_RECIPE`, then write the new digest here."""
    texts = ["func (c *Client) Do(req *Request)", "naïve_café 数据库 42", "def parseHTTPHeader2(x): return x"]
    assert (static_model._RECIPE, blake2b(static.embed(texts), digest_size=8).hexdigest()) == (1, "bfdc1399741f2c38")
    assert (code_model._RECIPE, blake2b(code.embed(texts), digest_size=8).hexdigest()) == (1, "acfda2c9eb283e61")


@pytest.mark.parametrize("text", ["parse_http_header", "ParseHTTPHeader", "PARSE.HTTP->header", "parseHttp\nHeader"])
def test_the_way_a_name_is_written_does_not_matter(static, text):
    assert static.embed_question(text) == static.embed_question("parse http header")


def test_accents_do_not_matter_and_ideographs_are_words(static):
    assert static.embed_question("Café") == static.embed_question("cafe")
    assert any(static.embed_question("日本"))
    assert static.embed_question("日本") == static.embed_question("本 日")


def test_a_question_finds_the_code_that_does_it(either):
    code = [
        "def retry(call, attempts, backoff): sleep(backoff) and try again",
        "class LoginForm: username and password fields, session cookie",
        "func (db *DB) Migrate() error { // apply schema migrations to the database tables",
        "export function renderButton(props) { return <button style={css}>click</button> }",
    ]
    documents = vector(either.embed(code)).reshape(4, -1)
    for number, question in enumerate(
        ["how often are failed calls repeated", "user authentication", "change SQL table layout", "draw a UI widget"]
    ):
        assert np.argmax(documents @ vector(either.embed_question(question))) == number, question


def test_plain_python_and_numpy_give_the_same_bytes(either, library_chunks):
    assert b"".join(map(either.embed_question, library_chunks[::12])) == either.embed(library_chunks[::12])


def test_long_texts_leave_float32_and_int64_without_a_change(either, library_chunks, monkeypatch):
    expected = either.embed(library_chunks)
    monkeypatch.setattr(vectors, "EXACT32", 0)
    assert either.embed(library_chunks) == expected
    monkeypatch.setattr(vectors, "SQUARES64", 0)
    assert either.embed(library_chunks[:100]) == expected[: 100 * 256]


def test_a_long_text_has_the_direction_of_its_words(either):
    assert either.embed(["parse the file " * 100_000]) == either.embed(["parse the file"])


def test_a_memo_that_is_full_forgets_and_says_the_same(library_chunks, monkeypatch):
    expected = open_embedder(STATIC).embed(library_chunks[:200])
    monkeypatch.setattr(text, "_MEMO_LIMIT", 50)
    embedder = StaticEmbedder(str(DISTILLED))
    assert b"".join(embedder.embed([chunk]) for chunk in library_chunks[:200]) == expected
    assert len(embedder._of_word) <= 25


def test_fewer_dimensions_are_the_first_ones(either):
    small = open_embedder(either.name, truncate_dim=64)
    assert (small.dim, len(small.embed_question("file")), len(small.embed(["a file", "b"]))) == (64, 64, 128)
    assert small.fingerprint != either.fingerprint
    assert small.embed(["read a file"]) == small.embed_question("read a file")
    cut = vector(either.embed_question("read a file"))[:64]
    assert vector(small.embed_question("read a file")) @ cut / np.linalg.norm(cut) > 126


@pytest.mark.parametrize("dim", [0, -1, 257])
def test_dimensions_that_the_model_does_not_have_are_refused(either, dim):
    with pytest.raises(BadInput, match="256"):
        open_embedder(either.name, truncate_dim=dim)


# ---------------------------------------------------------------------------------------------------------------- start-up

QUESTION = """
import sys
from codequarry.models import open_embedder
{action}
print([name for name in ("numpy", "torch", "tokenizers", "sentence_transformers") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("action", "imported"),
    [
        ("", "[]"),
        ("open_embedder('code').embed_question('where are retries configured?')", "[]"),
        (f"open_embedder({STATIC!r}).embed_question('where are retries configured?')", "[]"),
        ("open_embedder('hash').embed(['text'])", "[]"),
        ("open_embedder('code').embed(['text'])", "['numpy']"),
        (f"open_embedder({STATIC!r}).embed(['text'])", "['numpy']"),
    ],
    ids=["import", "question-code", "question-static", "hash", "documents-code", "documents-static"],
)
def test_a_question_imports_no_heavy_module(action, imported):
    command = [sys.executable, "-c", QUESTION.format(action=action)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == imported


# --------------------------------------------------------------------------------------------------- folders saved elsewhere

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "read": 2, "file": 3, "##s": 4, "write": 5}
TABLE = np.array([[0, 0, 0], [9, 9, 9], [1, 0, 0], [0, 2, 0], [0, 0, 0.5], [-1, 1, 0.25]], np.float32)


def save(folder, *, tensors, vocabulary=VOCABULARY, tokenizer="WordPiece", modules=True):
    """Writes what model2vec and StaticEmbedding write."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        kind = {"float32": "F32", "float16": "F16", "int64": "I64", "float64": "F64"}[tensor.dtype.name]
        raw = tensor.tobytes()
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    model = {"type": tokenizer, "vocab": vocabulary, "continuing_subword_prefix": "##", "unk_token": "[UNK]"}
    (folder / "tokenizer.json").write_text(json.dumps({"model": model}), encoding="utf-8")
    if modules:
        kinds = [{"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]
        (folder / "modules.json").write_text(json.dumps(kinds), encoding="utf-8")
    return folder


def unit(*values):
    length = math.sqrt(sum(value * value for value in values))
    return [round(127 * value / length) for value in values]


@pytest.mark.parametrize(
    "tensors",
    [
        {"embeddings": TABLE},
        {"embedding.weight": TABLE.astype(np.float16)},
        {"embeddings": TABLE * 2, "weights": np.full(6, 0.5)},
        {"embeddings": TABLE[::-1].copy(), "mapping": np.arange(6)[::-1].copy()},
    ],
    ids=["model2vec", "StaticEmbedding", "weights", "clustered"],
)
def test_folders_of_other_libraries_are_read(tmp_path, tensors):
    folder = save(tmp_path / "saved", tensors=tensors)
    for name in (str(folder), f"static:{folder}"):
        embedder = open_embedder(name)
        assert (type(embedder), embedder.name, embedder.dim) == (StaticEmbedder, name, 3)
        assert np.allclose(vector(embedder.embed_question("readFiles")), unit(1, 2, 0.5), atol=1)
        assert embedder.embed(["read_files", "read nothing", "unread"]) == b"".join(
            map(embedder.embed_question, ["read_files", "read", ""])
        )


def test_a_folder_in_a_folder_is_read(tmp_path):
    save(tmp_path / "0_StaticEmbedding", tensors={"embedding.weight": TABLE}, modules=False)
    assert open_embedder(str(tmp_path)).dim == 3


def test_other_content_has_another_fingerprint_wherever_it_lies(tmp_path):
    one = open_embedder(str(save(tmp_path / "one", tensors={"embeddings": TABLE})))
    two = open_embedder(str(save(tmp_path / "two", tensors={"embeddings": TABLE})))
    three = open_embedder(str(save(tmp_path / "three", tensors={"embeddings": TABLE + 1})))
    four = open_embedder(str(save(tmp_path / "four", tensors={"embeddings": TABLE}, vocabulary={"read": 2})))
    assert one.fingerprint == two.fingerprint
    assert len({one.fingerprint, three.fingerprint, four.fingerprint}) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tensors": {"embeddings": TABLE}, "tokenizer": "Unigram"}, "Unigram"),
        ({"tensors": {"other": TABLE}}, "embeddings"),
        ({"tensors": {"embeddings": TABLE[:2]}}, "cannot be read"),
        ({"tensors": {"embeddings": TABLE * np.nan}}, "no numbers"),
    ],
)
def test_a_model_that_cannot_be_read_is_an_error_that_says_why(tmp_path, arguments, says):
    with pytest.raises(ModelError, match=says):
        open_embedder(f"static:{save(tmp_path / 'saved', **arguments)}")


def test_a_damaged_folder_is_an_error(tmp_path):
    folder = save(tmp_path / "saved", tensors={"embeddings": TABLE})
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-20])
    with pytest.raises(ModelError, match="cannot be read"):
        open_embedder(str(folder))


@pytest.mark.parametrize("file", ["rows.i8", "weights.u8", "tokens.txt", "model.json"])
def test_our_own_layout_is_checked_too(tmp_path, file):
    for name in ("rows.i8", "weights.u8", "tokens.txt", "model.json"):
        content = (DISTILLED / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name == file else content)
    with pytest.raises(ModelError, match="cannot be read"):
        StaticEmbedder(str(tmp_path))


def test_our_own_layout_of_a_later_version_is_refused(tmp_path):
    for name in ("rows.i8", "weights.u8", "tokens.txt", "model.json"):
        (tmp_path / name).write_bytes((DISTILLED / name).read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(ModelError, match="format is 2"):
        StaticEmbedder(str(tmp_path))


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="no static model") as caught:
        open_embedder(f"static:{tmp_path}")
    assert "model.safetensors" in caught.value.hint
    assert pickle.loads(pickle.dumps(caught.value)).hint == caught.value.hint


def test_small_rows_keep_their_precision():
    matrix = np.random.default_rng(7).normal(size=(500, 64)) * np.geomspace(0.01, 1, 500)[:, None]
    rows, weights = quantise(matrix)
    assert (rows.dtype, weights.dtype, int(weights.min()), int(weights.max())) == (np.int8, np.uint8, 1, 15)
    back = rows * weights[:, None].astype(np.float64)
    near = (matrix * back).sum(axis=1) / np.linalg.norm(matrix, axis=1) / np.linalg.norm(back, axis=1)
    assert near.min() > 0.99
    assert near[100:].min() > 0.9995


def test_a_table_of_zeros_has_zero_vectors():
    rows, weights = quantise(np.zeros((2, 4)))
    assert not rows.any()
    assert weights.tolist() == [1, 1]


# -------------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name", "hash:|hash:x|hash:-3|hash:4|hash:99999|| |static|static:|code:|transformers|transformers:".split("|")
)
def test_a_name_that_is_none_is_refused_with_a_hint(name):
    with pytest.raises(BadInput) as caught:
        open_embedder(name)
    assert caught.value.hint


def test_static_alone_is_no_model_and_the_hint_names_those_that_are(tmp_path, monkeypatch):
    save(tmp_path / "static", tensors={"embeddings": TABLE})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="static") as caught:
        open_embedder("static")
    assert caught.value.hint == 'write "code", "static:FOLDER" or a name that sentence-transformers knows'
    assert open_embedder("./static").dim == open_embedder("static:static").dim == 3


HASHED = [-27, 0, -27, 27, 81, 54, 27, 0, 0, 0, 0, -54, 0, 0, 0, -27]


def test_hash_vectors_are_the_same_on_every_machine():
    embedder = open_embedder("hash:16")
    assert (type(embedder), embedder.dim) == (HashEmbedder, 16)
    assert array("b", embedder.embed_question("read a file")).tolist() == HASHED


def test_options_that_a_model_has_no_use_for_are_ignored():
    assert (
        open_embedder("hash:64", device="cuda", query_prompt="q: ").fingerprint == open_embedder("hash:64").fingerprint
    )


@pytest.mark.parametrize("name", ["transformers:all-MiniLM-L6-v2", "BAAI/bge-small-en-v1.5"])
def test_without_sentence_transformers_the_error_says_how_to_install_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match="sentence-transformers") as caught:
        open_embedder(name)
    assert 'pip install "codequarry[transformers]"' in caught.value.hint
    assert 'the model "code"' in caught.value.hint
