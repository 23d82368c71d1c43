"""What the front page shows is run as it stands, in order, in one empty folder.

A fenced block is `console` (lines that begin with `$ `), `bash` (every line) or `python` (one namespace for the page);
with `no-run` after the language it is left alone.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
FENCE = re.compile(
    r"^```(?P<language>console|bash|python)\b(?P<rest>[^\n]*)\n(?P<body>.*?)^```\s*$", re.DOTALL | re.MULTILINE
)
ELSEWHERE = ("cd", "git")
"""Commands that fetch the project: whoever runs this has done them."""


@dataclass(frozen=True)
class Block:
    language: str
    body: str
    line: int


def blocks(page: str) -> list[Block]:
    """The blocks that are run."""
    return [
        Block(found["language"], found["body"], page.count("\n", 0, found.start("body")) + 1)
        for found in FENCE.finditer(page)
        if "no-run" not in found["rest"].split()
    ]


def commands(block: Block) -> list[list[str]]:
    """The commands of a block, continued lines joined, comments left out."""
    lines = block.body.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    split = (shlex.split(line, comments=True) for line in lines)
    return [command for command in split if command]


def targets() -> set[str]:
    """What `make` can make."""
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def run(command: list[str], folder: Path) -> None:
    name, *arguments = command
    if name == "make":
        assert set(arguments) <= targets(), f"{command}: not in the Makefile"
    elif name == "allot":
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "ALLOT_DEBUG": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "api.cli", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(command)} ended with {done.returncode}\n{done.stderr}"
    else:
        assert name in ELSEWHERE, f"{shlex.join(command)}: only allot and make are run; say no-run after the language"


@pytest.mark.timeout(600)
def test_the_front_page_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not README.exists():
        pytest.skip("there is no README.md")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks(README.read_text()):
        if block.language == "python":
            code = "\n" * (block.line - 1) + block.body  # so that a traceback names the line of the page
            exec(compile(code, str(README), "exec"), namespace)  # noqa: S102
        else:
            for command in commands(block):
                run(command, tmp_path)


def test_blocks_are_read_as_they_are_shown() -> None:
    page = (
        "# Title\n\n"
        "```console\n$ make demo  # two minutes\nmaking\n$ allot solve day.json \\\n    --out 'my plan.json'\n```\n"
        "```python no-run\n1 / 0\n```\n```json\n{}\n```\n```python\nx = 1\n```\n"
    )
    first, second = blocks(page)
    assert commands(first) == [["make", "demo"], ["allot", "solve", "day.json", "--out", "my plan.json"]]
    assert (second.language, second.body, second.line) == ("python", "x = 1\n", 16)
