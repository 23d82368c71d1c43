"""What the front page shows is run as it stands, in order, in one empty folder.

A fenced block is `console` (lines that begin with `$ `), `bash` (every line) or `python` (one namespace for the page);
with `no-run` after the language it is left alone, with `file=NAME` it is that file. Output that is shown below a command is what it
must print, where `...` stands for anything; `varies` after the language says that it is only an example, as the figures of a search
that time ends. Blocks with `service` are run by `test_readme_service`.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from itertools import takewhile
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
    varies: bool = False
    file: str | None = None


def blocks(page: str, *, service: bool = False) -> list[Block]:
    """The blocks that are run here, or those that are run beside a service."""
    return [
        Block(
            found["language"],
            found["body"],
            page.count("\n", 0, found.start("body")) + 1,
            "varies" in found["rest"].split(),
            next((word.removeprefix("file=") for word in found["rest"].split() if word.startswith("file=")), None),
        )
        for found in FENCE.finditer(page)
        if "no-run" not in found["rest"].split() and ("service" in found["rest"].split()) is service
    ]


def commands(block: Block) -> list[list[str]]:
    """The commands of a block, continued lines joined, comments left out."""
    lines = block.body.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    split = (shlex.split(line, comments=True) for line in lines)
    return [command for command in split if command]


def shown(block: Block, command: list[str]) -> list[str]:
    """The lines of output that a block shows below a command."""
    lines = block.body.replace("\\\n", " ").splitlines()
    below = iter(lines)
    found = any(line.startswith("$ ") and shlex.split(line[2:], comments=True) == command for line in below)
    return list(takewhile(lambda line: not line.startswith("$ "), below)) if found else []


def fits(output: str, lines: list[str]) -> bool:
    """Whether output is what is shown: word for word, but for spaces, and for what `...` stands for."""
    words = [" ".join(line.split()) for line in output.splitlines()]
    pattern = "".join(
        "(.*\n)*" if line == "..." else re.escape(" ".join(line.split())).replace(r"\.\.\.", ".*") + "\n"
        for line in lines
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in words)) is not None


def targets() -> set[str]:
    """What `make` can make."""
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def run(command: list[str], folder: Path) -> str:
    """Run a command as it stands; gives its output."""
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
        return done.stdout
    else:
        assert name in ELSEWHERE, f"{shlex.join(command)}: only allot and make are run; say no-run after the language"
    return ""


@pytest.mark.timeout(600)
def test_the_front_page_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not README.exists():
        pytest.skip("there is no README.md")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks(README.read_text()):
        if block.file:
            (tmp_path / block.file).write_text(block.body)
        elif block.language == "python":
            code = "\n" * (block.line - 1) + block.body  # so that a traceback names the line of the page
            exec(compile(code, str(README), "exec"), namespace)  # noqa: S102
        else:
            for command in commands(block):
                output, lines = run(command, tmp_path), shown(block, command)
                if lines and output and not block.varies:
                    assert fits(output, lines), f"{shlex.join(command)} does not print what is shown, but\n{output}"


def test_blocks_are_read_as_they_are_shown() -> None:
    page = (
        "# Title\n\n"
        "```console\n$ make demo  # two minutes\nmaking\n$ allot solve day.json \\\n    --out 'my plan.json'\n```\n"
        "```python no-run\n1 / 0\n```\n```json\n{}\n```\n```python\nx = 1\n```\n"
    )
    first, second = blocks(page)
    assert commands(first) == [["make", "demo"], ["allot", "solve", "day.json", "--out", "my plan.json"]]
    assert (second.language, second.body, second.line) == ("python", "x = 1\n", 16)
    assert shown(first, ["make", "demo"]) == ["making"]
    assert shown(first, ["allot", "solve", "day.json", "--out", "my plan.json"]) == []
    assert [block.file for block in blocks("```python file=mine.py\n```\n```python\n```\n")] == ["mine.py", None]
    assert [block.varies for block in blocks("```console varies\n$ allot doctor\n```\n")] == [True]


@pytest.mark.parametrize(
    ("lines", "fit"),
    [
        (["Cost 4.20", "Gap 0 %"], True),
        (["Cost  4.20", "..."], True),
        (["...", "Gap ..."], True),
        (["Cost 4.21", "Gap 0 %"], False),
        (["Cost 4.20"], False),
    ],
)
def test_what_is_shown_is_what_is_printed(lines: list[str], fit: bool) -> None:
    assert fits("Cost     4.20  \nGap       0 %  \n", lines) is fit
