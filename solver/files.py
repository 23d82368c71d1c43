"""Reading typed JSON files strictly, and writing files whole or not at all."""

import gzip
import os
import tempfile
import zlib
from pathlib import Path
from typing import TypeVar

import msgspec

from solver.refusal import Refusal

T = TypeVar("T")

MAX_BYTES = 4 * 2**30
"""A file larger than this, unpacked, is refused."""


def read_bytes(path: str | Path) -> bytes:
    """Read a file, unpacking `.gz`."""
    try:
        with gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Refusal(str(path), f"cannot be read: {error}", "unreadable") from error
    if len(content) > MAX_BYTES:
        raise Refusal(str(path), f"is larger than {MAX_BYTES} bytes", "too_large")
    return content


def read_json(path: str | Path, kind: type[T]) -> T:
    """Read a JSON file as `kind`, refusing unknown keys and wrong types with the place of the fault."""
    content = read_bytes(path)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(str(path), f"is not JSON: {error}", "not_json") from error


def refusal_of(error: msgspec.ValidationError) -> Refusal:
    """Turn msgspec's message (`Expected ... - at `$.orders[3].qty``) into a refusal that begins with the place."""
    text, _, place = str(error).partition(" - at `")
    return Refusal(place.rstrip("`").removeprefix("$").lstrip(".") or "the file", text[0].lower() + text[1:])


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all, packing `.gz` (the same content always gives the same bytes)."""
    path = Path(path)
    if path.name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=4, mtime=0)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise Refusal(str(path), f"cannot be written: {error}", "unwritable") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException as error:
        os.unlink(name)
        if isinstance(error, OSError):
            raise Refusal(str(path), f"cannot be written: {error}", "unwritable") from error
        raise
