"""Reading typed JSON files strictly, and writing files whole or not at all."""

import codecs
import gzip
import os
import re
import stat
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

import msgspec

from solver.refusal import Refusal

T = TypeVar("T")

MAX_BYTES = 4 * 2**30
"""A file larger than this, unpacked, is refused."""
STANDARD = ("-", "/dev/stdout")
"""Names of standard output; `-` is standard input where something is read."""
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Named(msgspec.Struct):
    """What every file of ours says of itself first."""

    format: str


def read_bytes(path: str | Path) -> bytes:
    """Read a file, unpacking `.gz`; `-` is standard input."""
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb") as stream:
                content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise Refusal(str(path), "no such file", "unreadable") from error
    except (OSError, EOFError, zlib.error) as error:
        raise Refusal(str(path), f"cannot be read: {_told(error)}", "unreadable") from error
    if len(content) > MAX_BYTES:
        raise Refusal(str(path), f"is larger than {MAX_BYTES} bytes", "too_large")
    return content


def read_json(path: str | Path, kind: type[T]) -> T:
    """Read a JSON file as `kind`, refusing unknown keys and wrong types with the place of the fault."""
    content = read_bytes(path)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise _other_format(path, content, kind) or refusal_of(error, str(path)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if content.startswith(BYTE_ORDER_MARKS):
            raise Refusal(
                str(path), "begins with a byte order mark; save it as UTF-8 without one", "not_json"
            ) from error
        raise Refusal(str(path), f"is not JSON: {error}", "not_json") from error


def refusal_of(error: msgspec.ValidationError, file: str) -> Refusal:
    """Turn msgspec's message (`Expected ... - at `$.orders[3].qty``) into a refusal that begins with the place."""
    text, _, place = str(error).partition(" - at `")
    return Refusal(place.rstrip("`").removeprefix("$").lstrip(".") or file, text[0].lower() + text[1:])


def _other_format(path: str | Path, content: bytes, kind: type[object]) -> Refusal | None:
    """What to say where a file is of another format than the one that is asked for."""
    (wanted,) = get_args(get_type_hints(kind)["format"])
    try:
        found = msgspec.json.decode(content, type=Named).format
    except (msgspec.DecodeError, RecursionError):
        return None
    if found == wanted:
        return None
    said = f"is {_described(found)}" if re.fullmatch(r"[a-z]+/[0-9]+", found) else f"has the format {found!r}"
    return Refusal(str(path), f"{said}; {_described(wanted)} is expected", "wrong_format")


def _described(format: str) -> str:
    return f"a {format.partition('/')[0]} ({format})"


def _told(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all, packing `.gz` (the same content always gives the same bytes).

    A link stays and what it points to is replaced, with the mode it had. What is no file (`-` for standard output, a pipe, a
    device) is written to as it is.
    """
    path = Path(path)
    if path.name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=4, mtime=0)
    try:
        if str(path) in STANDARD:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.flush()
        elif path.exists() and not path.is_file():
            with open(path, "wb") as stream:
                stream.write(content)
        else:
            _replace(Path(os.path.realpath(path)), content)
    except BrokenPipeError:
        raise  # who reads has seen enough
    except OSError as error:
        raise Refusal(str(path), f"cannot be written: {_told(error)}", "unwritable") from error


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(name, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
