"""Where results go: checked before the work begins, made when there is something to write."""

import os
from pathlib import Path

from solver.files import STANDARD, write_bytes
from solver.refusal import Refusal


def check_file(path: Path, *inputs: Path) -> None:
    """Refuse a file that could not be written, or that would replace what is read."""
    if path.is_dir():
        raise Refusal(str(path), "is a folder; name a file to write", "unwritable")
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not path.exists() and not folder.is_dir():
        raise Refusal(str(path), f"cannot be written: there is no folder {folder}", "unwritable")
    if any(path.exists() and source.exists() and path.samefile(source) for source in inputs):
        raise Refusal(str(path), "is what is read; name another file to write", "unwritable")


def is_standard(path: Path) -> bool:
    """Whether that is standard output."""
    return str(path) in STANDARD


def check_folder(path: Path) -> None:
    """Refuse what is in the way of an output folder."""
    if is_standard(path):
        raise Refusal(str(path), "is no folder; name one", "unwritable")
    above = next((folder for folder in (path, *path.parents) if folder.exists()), None)
    if above is not None and not above.is_dir():
        raise Refusal(str(path), f"cannot be a folder: {above} is a file", "unwritable")


def make_folder(path: Path) -> Path:
    """Make an output folder and those above it."""
    check_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(str(path), f"cannot be made: {error.strerror or error}", "unwritable") from error
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())
