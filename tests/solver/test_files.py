import gzip
import json
import os
import threading
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from solver.files import read_json, write_bytes
from solver.refusal import Refusal


class Note(msgspec.Struct):
    format: Literal["note/1"]


def refused(path: Path) -> str:
    with pytest.raises(Refusal) as refusal:
        read_json(path, Note)
    return str(refusal.value).removeprefix(f"{path}: ")


def test_a_file_of_another_kind_is_called_by_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"nodes": [], "format": "wave/1"}')
    assert refused(path) == "is a wave (wave/1); a note (note/1) is expected"


def test_a_file_that_is_not_there_is_no_such_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "x.json") == "no such file"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_called_one(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"format": "note/1"}', encoding=encoding)
    assert refused(path) == "begins with a byte order mark; save it as UTF-8 without one"


def test_a_link_stays_a_link_and_its_file_keeps_its_mode(tmp_path: Path) -> None:
    kept, link, dangling = tmp_path / "kept", tmp_path / "link", tmp_path / "dangling"
    kept.write_text("old")
    kept.chmod(0o640)
    link.symlink_to(kept)
    dangling.symlink_to(tmp_path / "later")
    write_bytes(link, b"new")
    write_bytes(dangling, b"new")
    assert (link.is_symlink(), kept.read_text(), kept.stat().st_mode & 0o777) == (True, "new", 0o640)
    assert (dangling.is_symlink(), (tmp_path / "later").read_text()) == (True, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "kept", "later", "link"]


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_bytes(tmp_path / "new", b"")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_bytes(pipe, b"new")
    reader.join(10)
    assert (read, pipe.is_fifo()) == ([b"new"], True)


def test_what_is_packed_is_the_same_every_time(tmp_path: Path) -> None:
    content = json.dumps({"format": "note/1"}).encode()
    for name in ("a.gz", "b.gz"):
        write_bytes(tmp_path / name, content)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == content
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
