"""The keys that a running service takes: those of its settings, and those of a file that may change while it runs.

The file (`api_keys_file`) has an entry a line. It is looked at once a second while requests come, so a key whose line is gone
opens nothing a second later, in every process. Once keys are configured they stay needed: a file that is empty, broken or gone lets
nobody in. When each key was last used is kept in the data folder, for `codequarry keys list`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from codequarry.errors import SettingsError
from codequarry.service.security import Caller, Key, Keys, read_key, read_keys

if TYPE_CHECKING:
    from codequarry.settings import Settings

LOOK_S = 1.0
"""How often the file is looked at."""

KEEP_S = 10.0
"""How often it is written down when keys were used."""

_USED = "keys-used.json"
_MOST_BYTES = 1 << 20

_log = logging.getLogger("codequarry.service")


class Keyring:
    """The keys of the settings. False when none are configured, and everyone is let in."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads them.

        Raises:
            SettingsError: an entry that is none, or a file that cannot be read.
        """
        self._fixed = read_keys(settings.api_keys)
        self._file = Path(settings.api_keys_file) if settings.api_keys_file else None
        self._clock = clock
        self._stamp: tuple[int, ...] = ()
        self._looked = clock()
        self._keys = self._fixed
        self._used: dict[str, float] = {}
        self._kept: dict[str, float] = {}
        self._place = settings.data_dir / _USED
        if self._file is not None:
            self._stamp = _stamp(self._file)
            self._keys = self._with(_read(self._file, strict=True))

    def __bool__(self) -> bool:
        return bool(self._fixed) or self._file is not None

    @property
    def keys(self) -> tuple[Key, ...]:
        """Those that are taken now, and those that have ended."""
        self._look()
        return self._keys.keys

    def find(self, presented: str) -> Key | None:
        """The key that this is, whether or not it has ended; None when it is none."""
        self._look()
        return self._keys.find(presented)

    def caller(self, key: Key) -> Caller | None:
        """Whose key it is, None when it has ended. Takes note that it was used."""
        now = time.time()
        if key.has_ended(now):
            return None
        self._used[key.mark] = now
        return key.caller

    def _look(self) -> None:
        now = self._clock()
        if self._file is None or now - self._looked < LOOK_S:
            return
        self._looked = now
        if (stamp := _stamp(self._file)) != self._stamp:
            self._stamp = stamp
            self._keys = self._with(_read(self._file, strict=False))
            _log.info("the keys were read anew: %d", len(self._keys.keys))

    def _with(self, more: list[Key]) -> Keys:
        return Keys([*self._fixed.keys, *more])

    def keep(self) -> None:
        """Writes down when keys were used, if any were since the last time."""
        used = dict(self._used)
        if used == self._kept:
            return
        known = {key.mark for key in self._keys.keys}
        merged = {mark: at for mark, at in read_used(self._place.parent).items() if mark in known}
        for mark, at in used.items():
            merged[mark] = max(at, merged.get(mark, 0.0))
        try:
            _replace(self._place, json.dumps(merged, sort_keys=True))
        except OSError as error:
            _log.warning("when keys were used cannot be written to %s: %s", self._place, error)
        self._kept = used


def read_used(data_dir: Path) -> Mapping[str, float]:
    """When the keys were last used, by `Key.mark`, in Unix seconds; what cannot be read counts as nothing."""
    try:
        known = json.loads((data_dir / _USED).read_bytes())
        return {str(mark): float(at) for mark, at in known.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        stat = file.stat()
    except OSError:
        return ()
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def _read(file: Path, *, strict: bool) -> list[Key]:
    """The keys of a file.

    Not `strict`: what is wrong is logged and left out, so that one typing error neither locks all out nor keeps a key alive that
    was taken out.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            lines = stream.read(_MOST_BYTES).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        problem = SettingsError(
            f"the keys in {file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}",
            name="CODEQUARRY_API_KEYS_FILE",
            hint="an empty file is one without keys",
        )
        if strict:
            raise problem from error
        _log.error("%s; none of them is taken", problem.message)
        return []
    keys = []
    for number, line in enumerate(lines, 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        try:
            keys.append(read_key(entry, f"{file}: line {number}"))
        except SettingsError as error:
            if strict:
                raise
            _log.error("%s; it is left out", error.message)
    return keys


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(beside, file)  # noqa: PTH105
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside)  # noqa: PTH108
        raise
