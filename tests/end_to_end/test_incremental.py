"""Whatever happened to a tree before, its index equals a clean build of what it is now."""

import random

import pytest

from codequarry import connect

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()


def write(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    body = [
        f"def {rng.choice(WORDS)}_{rng.randint(0, 99)}():\n    return '{rng.choice(WORDS)}'\n"
        for _ in range(rng.randint(1, 40))
    ]
    path.write_text("\n".join(body))


def step(root, rng):
    """One thing that people do to a tree."""
    files = sorted(path for path in root.rglob("*.py") if path.is_file())
    target = root / rng.choice("abc") / f"{rng.choice(WORDS)}{rng.randint(0, 9)}.py"
    match rng.choice(["add", "edit", "delete", "rename", "binary", "ignore", "copy"]):
        case "edit" if files:
            with rng.choice(files).open("a") as file:
                file.write(f"\n# {rng.choice(WORDS)} {rng.random()}\n")
        case "delete" if files:
            rng.choice(files).unlink()
        case "rename" if files:
            target.parent.mkdir(exist_ok=True)
            rng.choice(files).rename(target)
        case "copy" if files:
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(rng.choice(files).read_bytes())
        case "binary" if files:
            rng.choice(files).write_bytes(b"\0\1\2")
        case "ignore":
            (root / ".gitignore").write_text(f"{rng.choice(WORDS)}*.py\n")
        case _:
            write(target, rng)


@pytest.mark.parametrize("seed", range(3))
def test_an_incremental_index_equals_a_clean_one(store_location, tmp_path, seed):
    rng, root = random.Random(seed), tmp_path / "tree"
    for number in range(30):
        write(root / rng.choice("abc") / f"m{number}.py", rng)
    with connect(store_location("incremental"), model="hash:64") as quarry:
        quarry.index(root)
        for number in range(12):
            for _ in range(rng.randint(1, 4)):
                step(root, rng)
            quarry.refresh()
            with connect(store_location(f"clean-{number}"), model="hash:64") as clean:
                clean.index(root)
                assert list(quarry.dump()) == list(clean.dump())
                assert sorted(quarry.skipped(quarry.repositories()[0].source)) == sorted(
                    clean.skipped(clean.repositories()[0].source)
                )


def test_other_rules_of_chunking_make_every_file_anew(store_location, tmp_path, monkeypatch):
    (tmp_path / "tree").mkdir()
    write(tmp_path / "tree" / "a.py", random.Random(1))
    with connect(store_location("recipe"), model="hash:64") as quarry:
        quarry.index(tmp_path / "tree")
        monkeypatch.setattr("codequarry.ingest.RECIPE", "next")
        monkeypatch.setattr("codequarry.ingest.pipeline.RECIPE", "next")
        quarry.refresh()
        assert quarry.repositories()[0].recipe == "next"
        assert quarry.index(tmp_path / "tree")[0].unchanged == 1
        monkeypatch.undo()
        assert quarry.index(tmp_path / "tree")[0].changed == 1


def test_an_index_does_not_index_itself(tmp_path):
    (tmp_path / "a.py").write_text("def alone():\n    return 1\n")
    with connect(tmp_path / "index", model="hash:64") as quarry:
        (report,) = quarry.index(tmp_path)
        assert (report.state.files, quarry.refresh()) == (1, [])
        assert quarry.repositories()[0].files == 1
