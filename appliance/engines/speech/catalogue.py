"""The catalogue of speech weights: fetched from a hub or its mirror, or carried in on a disk."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import httpx
import yaml

from appliance.engines.speech.weights import inspect
from appliance.errors import EngineError, is_disk_full

DATA = Path(__file__).parent / "catalogue.yaml"
DEFAULT_HUB = "https://huggingface.co"
ATTEMPTS = 6
LONGEST_PAUSE_S = 30.0
RETRYABLE = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}
SUMS = "SHA256SUMS"
"""File beside the weights with the checksum of each of their files, as sha256sum writes it."""

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are there and the bytes there will be (0 where unknown)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One set of weights that can be fetched."""

    name: str
    repository: str
    files: tuple[str, ...]
    licence: str
    languages: int
    memory: str
    disk: str
    revision: str = "main"
    sizes: Mapping[str, int] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)

    def path(self, models_dir: Path) -> Path:
        """What WHISPER_MODEL_PATH is set to: the folder, or the one ggml file in it."""
        folder = models_dir / self.name
        return folder / self.files[0] if self.files[0].endswith(".bin") and len(self.files) == 1 else folder


@lru_cache
def catalogue() -> dict[str, Entry]:
    """All entries by name."""
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return {name: Entry(name=name, **{**entry, "files": tuple(entry["files"])}) for name, entry in data.items()}


def entry(name: str) -> Entry:
    """The entry of a name. Raises EngineError that lists the names there are."""
    if name not in catalogue():
        raise EngineError("weights_unknown", f"no weights are called {name}; there are: {', '.join(catalogue())}")
    return catalogue()[name]


def fetch(name: str, models_dir: Path, hub: str, report: Progress) -> Path:
    """Download weights, going on where an earlier attempt stopped; returns their path. Installed ones are left alone.

    Each file is checked and renamed when it is complete. Raises EngineError: hub_unreachable, hub_refused,
    weights_corrupt, disk_full.
    """
    wanted = entry(name)
    if (models_dir / name / SUMS).is_file() and _is_whole(wanted, models_dir):
        return wanted.path(models_dir)
    part = models_dir / f"{name}.part"
    try:
        part.mkdir(parents=True, exist_ok=True)
        for file in wanted.files:
            url = f"{hub.rstrip('/')}/{wanted.repository}/resolve/{wanted.revision}/{file}"
            _download(url, part / file, wanted.sizes.get(file), wanted.sha256.get(file), report)
        return _install(wanted, part, models_dir)
    except OSError as error:
        code = "disk_full" if is_disk_full(error) else "models_dir_unusable"
        raise EngineError(code, f"{models_dir} cannot be written to: {error.strerror or error}") from None


def _is_whole(wanted: Entry, models_dir: Path) -> bool:
    """Are installed weights sound? Damaged ones are fetched again."""
    try:
        verify(wanted.name, models_dir)
    except EngineError:
        return False
    return True


def add(name: str, source: Path, models_dir: Path, report: Progress) -> Path:
    """Install weights that were carried in: a folder with the entry's files. Returns their path. Raises EngineError."""
    wanted = entry(name)
    missing = [file for file in wanted.files if not (source / file).is_file()]
    if missing:
        raise EngineError("weights_missing", f"{source} lacks {', '.join(missing)}")
    part = models_dir / f"{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file in wanted.files:
        size = (source / file).stat().st_size
        report(file, 0, size)
        shutil.copyfile(source / file, part / file)
        report(file, size, size)
        _check(part / file, wanted.sizes.get(file), wanted.sha256.get(file))
    return _install(wanted, part, models_dir)


def verify(name: str, models_dir: Path) -> Path:
    """Compare installed weights with their checksums: those written when they were installed, or the publisher's.

    A folder that was put there by hand has none of the first kind. Raises EngineError.
    """
    wanted = entry(name)
    folder = models_dir / name
    if not folder.is_dir():
        raise EngineError("weights_missing", f"{name} is not installed in {models_dir}")
    sums = dict(wanted.sha256)
    if (folder / SUMS).is_file():
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        sums = {file: expected for expected, file in (line.split("  ", 1) for line in lines)}
    for file, expected in sums.items():
        if not (folder / file).is_file() or digest(folder / file) != expected:
            raise EngineError("weights_corrupt", f"{folder / file} is damaged: fetch {name} again")
    inspect(wanted.path(models_dir))
    return wanted.path(models_dir)


def installed(models_dir: Path) -> set[str]:
    """Names of the weights that are there."""
    return {name for name, known in catalogue().items() if known.path(models_dir).exists()}


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _install(wanted: Entry, part: Path, models_dir: Path) -> Path:
    lines = [f"{digest(part / file)}  {file}\n" for file in wanted.files]
    (part / SUMS).write_text("".join(lines), encoding="utf-8")
    inspect(part / wanted.files[0] if wanted.path(models_dir).suffix == ".bin" else part)
    target = models_dir / wanted.name
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return wanted.path(models_dir)


def _check(file: Path, size: int | None, sha256: str | None) -> None:
    wrong_size = size is not None and file.stat().st_size != size
    if wrong_size or (sha256 is not None and digest(file) != sha256):
        file.unlink()
        raise EngineError("weights_corrupt", f"{file.name} is not what its publisher states; it was removed")


def _download(url: str, target: Path, size: int | None, sha256: str | None, report: Progress) -> None:
    if target.exists():
        return
    part = target.with_name(target.name + ".part")
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(min(LONGEST_PAUSE_S, 0.5 * 2**attempt))
        try:
            stated = _continue(url, part, target.name, report)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise EngineError("hub_refused", f"{url}: {error}") from None
        except (httpx.TransportError, _Interrupted) as error:
            problem = str(error) or type(error).__name__
            continue
        _check(part, size, sha256 or stated)
        part.rename(target)
        return
    raise EngineError("hub_unreachable", f"{url} could not be fetched: {problem}", retryable=True)


class _Interrupted(Exception):
    """The download ended early; it is worth going on."""


def _continue(url: str, part: Path, name: str, report: Progress) -> str | None:
    """Fetch what is missing of a file; returns the checksum that the hub states, where it does."""
    have = part.stat().st_size if part.exists() else 0
    # Not compressed: what is stored are the bytes as they come, and a range is one of the file itself.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=60) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise _Interrupted("what was there did not fit")
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status_code in RETRYABLE:
            raise _Interrupted(f"the hub answered {answer.status_code}")
        if answer.is_error:
            raise EngineError("hub_refused", f"{url}: the hub answered {answer.status_code}")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise EngineError("hub_refused", f"{url}: something on the way compresses downloads")
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            have = 0
        elif not answer.headers.get("content-range", f"bytes {have}-").startswith(f"bytes {have}-"):
            part.unlink()
            raise _Interrupted("the hub went on at another place than asked for")
        total = have + int(answer.headers.get("content-length", 0))
        with part.open("ab" if have else "wb") as file:
            for chunk in answer.iter_raw():
                have += file.write(chunk)
                report(name, have, total)
        if total and have != total:
            raise _Interrupted("the connection was cut")
        answers = [*answer.history, answer]
    tags = [a.headers.get("x-linked-etag", "").strip('"') for a in answers]
    return next((tag for tag in tags if len(tag) == 64), None)
