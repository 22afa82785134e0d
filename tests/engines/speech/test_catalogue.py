"""Weights come whole or not at all: resumed, checked, renamed. Against a real HTTP server with a bad line."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from appliance.engines.speech import catalogue
from appliance.engines.speech.catalogue import Entry
from appliance.errors import EngineError


class Hub:
    """A hub's files, and what its line does to them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_after: list[int] = []
        self.requests: list[str | None] = []
        self.answers_etag = True
        self.statuses: list[int] = []
        self.compresses = False
        self.wrong_start = False
        self.url = ""


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.requests.append(self.headers.get("Range"))
            if made.statuses:
                self.send_error(made.statuses.pop(0))
                return
            content = made.files.get(self.path.rsplit("/", 1)[-1])
            if content is None:
                self.send_error(404)
                return
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            self.send_response(206 if start else 200)
            if start:
                at = start = 0 if made.wrong_start else start
                self.send_header("Content-Range", f"bytes {at}-{len(content) - 1}/{len(content)}")
            if made.compresses and "gzip" in self.headers.get("Accept-Encoding", ""):
                content = gzip.compress(content, 1)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(content) - start))
            if made.answers_etag:
                self.send_header("X-Linked-ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.end_headers()
            end = made.cut_after.pop(0) if made.cut_after else len(content)
            self.wfile.write(content[start:end])
            if end < len(content):
                self.connection.shutdown(2)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def small(demo_weights: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """The demo weights' ggml file, offered as if it were in the catalogue."""
    hub.files["ggml-demo.bin"] = (demo_weights / "ggml-demo.bin").read_bytes()
    known = Entry("tiny", "a/b", ("ggml-demo.bin",), "MIT", 2, "-", "-")
    monkeypatch.setitem(catalogue.catalogue(), "tiny", known)
    monkeypatch.setattr(catalogue.time, "sleep", lambda _: None)
    return known


def test_an_interrupted_download_goes_on_where_it_stopped(hub: Hub, small: Entry, tmp_path: Path) -> None:
    hub.cut_after = [1_000_000, 5_000_000]
    seen: list[int] = []
    path = catalogue.fetch("tiny", tmp_path, hub.url, lambda _, have, __: seen.append(have))
    assert path == tmp_path / "tiny" / "ggml-demo.bin"
    assert path.read_bytes() == hub.files["ggml-demo.bin"]
    assert hub.requests == [None, "bytes=1000000-", "bytes=5000000-"]
    assert seen == sorted(seen)
    assert catalogue.verify("tiny", tmp_path) == path
    assert catalogue.installed(tmp_path) == {"tiny"}


def test_a_download_that_never_ends_is_an_error_and_keeps_what_came(hub: Hub, small: Entry, tmp_path: Path) -> None:
    hub.cut_after = [1000] * 50
    with pytest.raises(EngineError) as caught:
        catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    assert caught.value.code == "hub_unreachable"
    assert not catalogue.installed(tmp_path)
    hub.cut_after = []
    catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    assert hub.requests[-1] == "bytes=1000-"


def test_other_bytes_than_the_publisher_states_are_refused(
    hub: Hub, small: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Entry(**{**{f: getattr(small, f) for f in small.__slots__}, "sha256": {"ggml-demo.bin": "0" * 64}})
    monkeypatch.setitem(catalogue.catalogue(), "tiny", wrong)
    with pytest.raises(EngineError) as caught:
        catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    assert caught.value.code == "weights_corrupt"
    assert not catalogue.installed(tmp_path)


def test_what_is_no_model_is_not_installed(hub: Hub, small: Entry, tmp_path: Path) -> None:
    hub.files["ggml-demo.bin"] = b"<html>please log in</html>" * 100
    hub.answers_etag = False
    with pytest.raises(EngineError) as caught:
        catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    assert caught.value.code == "weights_not_a_model"
    assert not catalogue.installed(tmp_path)


def test_missing_files_and_dead_hubs_are_said(hub: Hub, small: Entry, tmp_path: Path) -> None:
    hub.files.clear()
    with pytest.raises(EngineError) as caught:
        catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    assert caught.value.code == "hub_refused"
    with pytest.raises(EngineError) as caught:
        catalogue.fetch("tiny", tmp_path, "http://127.0.0.1:9", lambda *_: None)
    assert caught.value.code == "hub_unreachable"
    with pytest.raises(EngineError, match="large-v3"):
        catalogue.fetch("nonsense", tmp_path, hub.url, lambda *_: None)


def test_weights_carried_in_are_checked_too(demo_weights: Path, small: Entry, tmp_path: Path) -> None:
    path = catalogue.add("tiny", demo_weights, tmp_path, lambda *_: None)
    assert path.is_file()
    with pytest.raises(EngineError) as caught:
        catalogue.add("tiny", tmp_path / "nowhere", tmp_path, lambda *_: None)
    assert caught.value.code == "weights_missing"


def test_later_damage_is_found(hub: Hub, small: Entry, tmp_path: Path) -> None:
    path = catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    with path.open("r+b") as file:
        file.seek(-100, 2)
        file.write(b"x" * 100)
    with pytest.raises(EngineError) as caught:
        catalogue.verify("tiny", tmp_path)
    assert caught.value.code == "weights_corrupt"


def test_what_is_installed_is_not_fetched_again_unless_it_is_damaged(hub: Hub, small: Entry, tmp_path: Path) -> None:
    path = catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    before = len(hub.requests)
    assert catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None) == path
    assert len(hub.requests) == before
    path.write_bytes(b"damaged")
    catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    assert path.read_bytes() == hub.files["ggml-demo.bin"]


def test_a_hub_that_compresses_is_asked_not_to(hub: Hub, small: Entry, tmp_path: Path) -> None:
    """Files that it packs on the way would be stored packed."""
    hub.compresses, hub.answers_etag = True, False
    path = catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    assert path.read_bytes() == hub.files["ggml-demo.bin"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_hub_is_asked_again(hub: Hub, small: Entry, tmp_path: Path, status: int) -> None:
    hub.statuses = [status, status]
    assert catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None).is_file()
    assert len(hub.requests) == 3


def test_an_answer_from_another_place_is_thrown_away(hub: Hub, small: Entry, tmp_path: Path) -> None:
    hub.cut_after, hub.wrong_start, hub.answers_etag = [1000], True, False
    path = catalogue.fetch("tiny", tmp_path, hub.url, lambda *_: None)
    assert path.read_bytes() == hub.files["ggml-demo.bin"]


@pytest.mark.parametrize("hub_url", ["nonsense", "ftp://hub.example", "http://"])
def test_a_wrong_address_is_said_at_once(small: Entry, tmp_path: Path, hub_url: str) -> None:
    with pytest.raises(EngineError) as caught:
        catalogue.fetch("tiny", tmp_path, hub_url, lambda *_: None)
    assert caught.value.code == "hub_refused"


def test_a_folder_that_cannot_be_written_to_is_said(hub: Hub, small: Entry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(EngineError) as caught:
        catalogue.fetch("tiny", tmp_path / "file", hub.url, lambda *_: None)
    assert caught.value.code == "models_dir_unusable"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_from_a_folder_that_is_closed(
    small: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whether the disk is full or only the share of it that this user may take."""

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(catalogue, "_download", full)
    with pytest.raises(EngineError) as caught:
        catalogue.fetch("tiny", tmp_path, "https://hub.example", lambda *_: None)
    assert caught.value.code == "disk_full"


def test_weights_placed_by_hand_are_compared_with_the_publisher(
    demo_weights: Path, small: Entry, tmp_path: Path
) -> None:
    (tmp_path / "tiny").mkdir()
    placed = tmp_path / "tiny" / "ggml-demo.bin"
    placed.write_bytes((demo_weights / "ggml-demo.bin").read_bytes())
    assert catalogue.verify("tiny", tmp_path) == placed
    placed.write_bytes(placed.read_bytes()[:-1])
    with pytest.raises(EngineError):
        catalogue.verify("tiny", tmp_path)


def test_every_entry_states_where_each_file_comes_from_and_what_it_is() -> None:
    for known in catalogue.catalogue().values():
        assert set(known.files) == set(known.sizes) == set(known.sha256)
        assert {len(sum_) for sum_ in known.sha256.values()} == {64}
        assert len(known.revision) == 40
