"""What our pages show of the service is run as it stands: a server on a free port, and a shell beside it in one folder.

Blocks are `console service`. `allot serve` is started as a process of its own; all other commands go through one shell, so that
what one sets the next one has. Figures, ids and days differ from run to run: a JSON answer must have what is shown of it (`...`
is the rest), with the same words in lower case, true, false and null; other output must be what is shown but for its figures.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_serving import serving
from tests.test_readme import ROOT, Block, blocks, fits

SERVE = "allot serve"
SHOWN_AT = "localhost:8000"
REST = "..."
END = "-- end of output --"
needs_a_shell = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="there is no bash or curl"
)


@dataclass(frozen=True)
class Step:
    """A command, and the output that is shown below it."""

    command: str
    shown: str


def steps(block: Block) -> list[Step]:
    """The commands of a block; one whose quotes are open goes on in the next line."""
    found: list[Step] = []
    command, shown = "", []
    for line in [*block.body.splitlines(), "$ "]:
        if command and is_open(command):
            command += "\n" + line
        elif line.startswith("$ "):
            if command:
                found.append(Step(command, "\n".join(shown)))
            command, shown = line[2:], []
        else:
            shown.append(line)
    return found


def is_open(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def read_shown(text: str) -> Any:
    """JSON in which `...` stands for what is left out: as a key of an object, or as an element."""
    pieces, inside = [], []
    for piece in re.findall(r'"(?:[^"\\]|\\.)*"|\.\.\.|[\[{\]}]|[^"\[{\]}.]+|\.', text, re.DOTALL):
        if piece in ("{", "["):
            inside.append(piece)
        elif piece in ("}", "]"):
            inside.pop()
        elif piece == REST:
            piece = f'"{REST}": null' if inside[-1] == "{" else f'"{REST}"'
        pieces.append(piece)
    return json.loads("".join(pieces))


def like(shown: Any, found: Any) -> bool:
    """Whether an answer has what is shown of it."""
    if isinstance(shown, dict):
        keys = shown.keys() - {REST}
        whole = REST in shown or (isinstance(found, dict) and found.keys() == keys)
        return isinstance(found, dict) and whole and all(k in found and like(shown[k], found[k]) for k in keys)
    if isinstance(shown, list):
        some = [one for one in shown if one != REST]
        whole = REST in shown or (isinstance(found, list) and len(found) == len(some))
        return isinstance(found, list) and whole and all(any(like(one, other) for other in found) for one in some)
    if isinstance(shown, str) and not re.fullmatch("[a-z_]+", shown):
        return isinstance(found, str)
    if isinstance(shown, int | float) and not isinstance(shown, bool):
        return isinstance(found, int | float) and not isinstance(found, bool)
    return bool(shown == found)


def answers(step: Step, output: str) -> bool:
    """Whether a command printed what is shown below it, but for figures."""
    if step.shown.startswith(("{", "[")):
        return like(read_shown(step.shown), json.loads(output))
    figures = re.compile(r"\d[\d.,:]*")
    plain = [figures.sub("#", text).splitlines() for text in (step.shown, output)]
    return fits("\n".join(plain[1]), plain[0])


def in_shell(commands: list[str], folder: Path) -> list[str]:
    """The output of commands in one shell; each must succeed."""
    tools = folder / "bin"
    tools.mkdir()
    allot = tools / "allot"
    allot.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m api "$@"\n')
    allot.chmod(0o755)
    script = "".join(f"{command}\necho \"$?\"; echo '{END}'\n" for command in commands)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    )  # fmt: skip
    found = []
    for command, output in zip(commands, done.stdout.split(f"{END}\n"), strict=False):
        *lines, code = output.splitlines()
        assert code == "0", f"{command} ended with {code}\n{output}"
        found.append("\n".join(lines))
    return found


@needs_a_shell
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", ["README.md", "api/README.md"])
def test_the_service_does_what_a_page_shows(page: str, tmp_path: Path) -> None:
    first, *rest = [step for block in blocks((ROOT / page).read_text(), service=True) for step in steps(block)]
    assert first.command == SERVE
    with serving(tmp_path) as served:
        assert answers(first, "\n".join(served.lines))
        address = served.address.removeprefix("http://")
        outputs = in_shell([step.command.replace(SHOWN_AT, address) for step in rest], tmp_path)
    for step, output in zip(rest, outputs, strict=True):
        assert answers(step, output), f"{step.command} does not print what is shown, but\n{output}"
    said = {step.command: output for step, output in zip(rest, outputs, strict=True)}
    assert said["allot fsck"] == "all books balance"
    if page == "README.md":
        _check_service(said)
        for paper in ("pick-list", "label", "packing-slip", "invoice"):
            assert (tmp_path / f"{paper}.pdf").read_bytes().startswith(b"%PDF"), paper


def _check_service(said: dict[str, str]) -> None:
    """What no example shows: that figures are as good as they look."""
    of: dict[str, str] = {}
    for command, output in said.items():
        of.setdefault(command.partition(f"{SHOWN_AT}/v1/")[2].partition(" ")[0], output)
    placed, wave = json.loads(of["orders"]), json.loads(of["waves"])
    assert (placed["state"], placed["open"]) == ("allocated", 0)
    assert placed["promise_day"]
    assert f"orders/{placed['id']}/decision" in of, "the page names the id that this order always has"
    assert 0 <= wave["gap"] <= 0.02
    assert wave["changed"] > 2000
    assert of["$ORDER/payments"].count("2499") == 1, "what came back is refunded"


def test_a_command_goes_on_while_its_quotes_are_open() -> None:
    page = "```console service\n$ allot serve\nit serves\n$ curl x --json '{\"a\":\n    1}'\n{...}\n```\n"
    (block,) = blocks(page, service=True)
    assert blocks(page) == []
    assert steps(block) == [
        Step("allot serve", "it serves"),
        Step("curl x --json '{\"a\":\n    1}'", "{...}"),
    ]


@pytest.mark.parametrize(
    ("shown", "answer", "fit"),
    [
        ('{"state": "open", "n": 3}', '{"state": "open", "n": 4}', True),
        ('{"state": "open"}', '{"state": "held"}', False),
        ('{"state": "open"}', '{"state": "open", "n": 4}', False),
        ('{..., "state": "open", ...}', '{"state": "open", "n": 4}', True),
        ('{"day": "2026-01-01"}', '{"day": "2027-02-03"}', True),
        ('{"day": "2026-01-01"}', '{"day": null}', False),
        ('{"data": [..., {"id": "A", ...}, ...]}', '{"data": [{"x": 1}, {"id": "B", "x": 2}]}', True),
        ('{"data": [{"id": "A"}]}', '{"data": [{"id": "A"}, {"id": "B"}]}', False),
        ("allot: 3 nodes", "allot: 16 nodes", True),
        ("allot: 3 nodes", "allot: 16 orders", False),
        ("key key_... is made", "key key_a1b is made", True),
    ],
)
def test_what_is_shown_of_an_answer_is_in_it(shown: str, answer: str, fit: bool) -> None:
    assert answers(Step("x", shown), answer) is fit
