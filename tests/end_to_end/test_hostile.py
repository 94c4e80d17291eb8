"""Files made to break an indexer: every one is indexed or listed, and nothing else happens."""

import os
import random

from codequarry import connect


def hostile(root, count=2000, seed=3):
    """Random bytes, deep nesting, huge lines, mixed encodings, odd names."""
    rng = random.Random(seed)
    names = [
        "-rf",
        "a b",
        "new\nline",
        "tab\t",
        "quote'\"",
        "\u202egnp",
        "$(id)",
        "%s",
        "\\",
        "é" * 80,
        "COM1",
        ".hidden",
        "*",
        "[a]",
    ]
    endings = [".py", ".go", ".js", ".ts", ".java", ".rs", ".c", ".cpp", ".rb", ".php", ".kt", ".scala", ".swift", ".sh", ".lua",
               ".ex", ".hs", ".zig", ".sql", ".tf", ".yaml", ".md", ".json", ".html", ""]  # fmt: skip
    makers = [
        lambda: rng.randbytes(rng.randint(0, 3000)),
        lambda: bytes(rng.choice(b"(){}[]<>\"'`#/*\\\n\t ;:,.=+-@!ab\xff\xc3") for _ in range(rng.randint(0, 3000))),
        lambda: rng.choice([b"(", b"{", b"[", b"<a>", b"- ", b"if x:\n", b"/*", b'"""']) * rng.randint(1, 4000),
        lambda: "".join(chr(rng.choice([rng.randint(32, 0xD7FF), rng.randint(0xE000, 0x10FFFF)])) for _ in range(300)).encode(),
        lambda: ("\ufeffdef a():\n  pass\n" * 20).encode(rng.choice(["utf-8", "utf-16", "utf-16-le", "utf-32"])),
        lambda: b"x = 1\r\n" * 30 + b"\xff\xfe" + "ü".encode("latin-1") + b"\r" * 50 + b"\x0c\x0b\x1c\xc2\x85",
        lambda: b"a" * rng.choice([1, 4001, 70_000, 300_000]),
        lambda: b"\n" * rng.randint(0, 5000),
    ]  # fmt: skip
    for number in range(count):
        folder = root / rng.choice("abcdefgh")
        folder.mkdir(exist_ok=True)
        name = f"{rng.choice(names)}{number}{rng.choice(endings)}".encode()
        if rng.random() < 0.05:
            name = b"\xff\xfe" + name
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(rng.choice(makers)())
    (root / "ten_megabytes_in_a_line.js").write_bytes(b"a=1;" * 2_500_000)
    (root / "deep.json").write_bytes(b"[" * 100_000 + b"]" * 100_000)
    os.mkfifo(root / "pipe.py")  # git lists no pipes, and reading one would hang
    (root / "loop").symlink_to(root)
    return count + 3


def test_two_thousand_hostile_files_are_all_accounted_for(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    made = hostile(root)
    with connect(tmp_path / "index") as quarry:
        (report,) = quarry.index(root)
        listed = {left_out.path for left_out in quarry.skipped(report.source)}
        indexed = set(quarry.store.paths(report.source))
        assert not listed & indexed
        assert len(listed | indexed) == made
        for path in sorted(indexed)[::50]:
            whole = quarry.read(report.source.repo, path)
            lines = whole.text.split("\n")
            covered = set()
            for chunk in quarry.store.chunks_of(report.source, path):
                covered |= set(range(chunk.start_line, chunk.end_line + 1))
            assert all(number in covered for number, line in enumerate(lines, 1) if line.strip())
        assert quarry.search("def a pass").hits
        assert quarry.index(root)[0].added == 0
