"""Stack frames as each language writes them."""

from __future__ import annotations

import pytest

from codequarry.search.frames import Frame, frame_of, frames


@pytest.mark.parametrize(
    ("line", "path", "number", "function"),
    [
        ('  File "app/retry.py", line 7, in wait', "app/retry.py", 7, "wait"),
        ('  File "app/retry.py", line 7', "app/retry.py", 7, ""),
        ("File ~/code/app/retry.py:7, in Policy.wait(self)", "~/code/app/retry.py", 7, "Policy.wait"),
        ("~/lib/python3.6/site-packages/app/retry.py in wait(self, n)", "~/lib/python3.6/site-packages/app/retry.py", 0, "wait"),
        ("\tat org.acme.retry.Policy.wait(Policy.java:31)", "org/acme/retry/Policy.java", 31, "org.acme.retry.Policy.wait"),
        ("\tat java.base/java.lang.Thread.run(Thread.java:8)", "java/lang/Thread.java", 8, "java.lang.Thread.run"),
        ("    at org.acme.Policy$wait$1.invoke(Policy.kt:5)", "org/acme/Policy.kt", 5, "org.acme.Policy$wait$1.invoke"),
        ("    at Policy.wait (file:///home/me/app/lib/retry.js:3:15)", "home/me/app/lib/retry.js", 3, "Policy.wait"),
        ("    at async wait (/home/me/app/lib/retry.mjs:3:15)", "/home/me/app/lib/retry.mjs", 3, "wait"),
        ("    at /home/me/app/src/retry.ts:3:15", "/home/me/app/src/retry.ts", 3, ""),
        ("wait@http://localhost:80/static/retry.js:3:15", "static/retry.js", 3, "wait"),
        ("\t/go/src/acme.org/api/retry.go:12 +0x1d", "/go/src/acme.org/api/retry.go", 12, ""),
        ("             at ./src/retry.rs:3:5", "./src/retry.rs", 3, ""),
        ("  --> src/retry.rs:3:5", "src/retry.rs", 3, ""),
        ("thread 'main' panicked at src/retry.rs:3:5:", "src/retry.rs", 3, ""),
        ("thread 'main' panicked at 'no policy', src/retry.rs:3:5", "src/retry.rs", 3, ""),
        ("#1  0x00fa in retry_wait (n=1) at lib/retry.c:31", "lib/retry.c", 31, "retry_wait"),
        ("    #1 0x55f in acme::wait(int) /home/me/retry/lib/retry.cc:31:5", "/home/me/retry/lib/retry.cc", 31, "acme::wait"),
        ("lib/retry.c:31:5: error: no member named 'n'", "lib/retry.c", 31, ""),
        ("retry.hpp(12): error C2039: no member", "retry.hpp", 12, ""),
        ("from app/retry.rb:3:in `wait'", "app/retry.rb", 3, "wait"),
        ("app/retry.rb:3:in 'Policy#wait': no policy (KeyError)", "app/retry.rb", 3, "Policy#wait"),
        ("#0 /srv/app/Retry.php(3): Policy->wait()", "/srv/app/Retry.php", 3, "Policy->wait"),
        ("PHP Fatal error:  no policy in /srv/app/Retry.php on line 3", "/srv/app/Retry.php", 3, ""),
        (r"   at Acme.Retry.Policy.Wait(Int32 n) in C:\src\Retry.cs:line 3", "C:/src/Retry.cs", 3, "Acme.Retry.Policy.Wait"),
    ],
)  # fmt: skip
def test_a_frame_is_read_as_its_language_writes_it(line, path, number, function):
    assert frame_of(line) == Frame(path, number, function)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "It was retried at 12:30 and again at 12:45.",
        "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
        "goroutine 7 [running]:",
        "Version: 1.2.3",
        "see https://example.org/retry.html:1 for more",
        "    return wait(attempt, limit=3)",
    ],
)
def test_other_lines_are_no_frames(line):
    assert frame_of(line) is None


def test_the_frames_of_a_text_come_in_its_order():
    text = 'Traceback:\n  File "a.py", line 1, in outer\n    inner()\n  File "b.py", line 2, in inner\nValueError: no'
    assert [frame.path for frame in frames(text)] == ["a.py", "b.py"]


@pytest.mark.parametrize(
    ("above", "line", "function"),
    [
        ("acme.org/api/retry.(*Policy).Wait(0xc0001b2000, 0x3)", "\t/go/src/acme.org/api/retry.go:12 +0x1d", "Wait"),
        ("created by acme.org/api/retry.Run in goroutine 1", "\t/go/src/acme.org/api/retry.go:12 +0x1d", "Run"),
        ("   7: acme::retry::wait", "             at ./src/retry.rs:3:5", "wait"),
    ],
)
def test_go_and_rust_write_the_function_above_its_place(above, line, function):
    (frame,) = frames(f"{above}\n{line}")
    assert frame.function.endswith(function)


def test_a_sentence_above_a_place_is_no_function():
    (frame,) = frames("It happens here, I think:\n --> src/retry.rs:3:5")
    assert frame.function == ""
