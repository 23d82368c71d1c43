"""A scenario file says what it means, or is refused in one line that names file, change, field, value and what is allowed."""

import re
from datetime import date
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from scenarios.applying import apply
from scenarios.scenario import library, read_scenario, scenario_of, scenarios_of
from scenarios.settings import CloseNode
from scenarios.verbs import VERBS
from solver.refusal import Refusal
from tests.scenarios.worlds import placed, scenario

HEAD = 'name = "a"\nwhy = "b"\n'
README = Path(__file__).parents[2] / "scenarios" / "README.md"


def test_a_scenario_is_a_name_a_reason_and_changes_in_their_order() -> None:
    read = scenario_of(
        b'name = "a"\nwhy = "b"\n[[changes]]\nverb = "close_node"\nnode = "N"\nfrom = 2024-05-02\n'
        b'[[changes]]\nverb = "policy"\nname = "nearest"\n',
        "a.toml",
    )
    assert (read.name, read.why, [change.verb for change in read.changes]) == ("a", "b", ["close_node", "policy"])
    assert read.changes[0].settings == CloseNode(node="N", since=date(2024, 5, 2))
    assert read.policy is not None
    assert read.policy.name == "nearest"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ]", "f.toml: is not TOML"),
        ('name = "a"', "f.toml: why: is missing"),
        ('name = 3\nwhy = "b"', "f.toml: name: 3 is not a text"),
        ('name = "baseline"\nwhy = "b"', "'baseline' is what scenarios are compared with"),
        (HEAD + "change = []", "f.toml: change: 'change' is not a key of a scenario; did you mean 'changes'?"),
        (HEAD + "changes = 3", "f.toml: changes: is not a list of changes"),
        (HEAD + "[[changes]]", "f.toml: changes[0].verb: is missing; the verbs are close_node"),
        (
            HEAD + '[[changes]]\nverb = "close_nod"',
            "changes[0].verb: 'close_nod' is not a verb; did you mean 'close_node'?",
        ),
        (HEAD + '[[changes]]\nverb = "close_node"', "changes[0].node: is missing; close_node needs it"),
        (
            HEAD + '[[changes]]\nverb = "close_node"\nnod = "N"',
            "changes[0].nod: is no setting of close_node; did you mean 'node'? there are from, until, node, stock_to",
        ),
        (HEAD + '[[changes]]\nverb = "capacity"\npercent = -5', "changes[0].percent: -5: expected `float` >= 0.0"),
        (
            HEAD + '[[changes]]\nverb = "capacity"\nnodes = "shops"',
            "'shops': invalid enum value 'shops'; it is all, stores",
        ),
        (HEAD + '[[changes]]\nverb = "capacity"\nfrom = "May"', "changes[0].from: 'May': invalid"),
        (
            HEAD + '[[changes]]\nverb = "capacity"\nfrom = 3\nuntil = 2',
            "changes[0]: until is day 2, before from, day 3",
        ),
        (HEAD + '[[changes]]\nverb = "cut_off"', "changes[0]: needs either earlier_minutes or at"),
        (
            HEAD + '[[changes]]\nverb = "labour"\nopen_weekdays = ["mon"]\nfrom = 2',
            "open_weekdays holds for the whole run",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(Refusal) as found:
        scenario_of(text.encode(), "f.toml")
    assert says in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            'close_node node="W3"',
            "test.toml: changes[0].node: 'W3' is not a node of this network; did you mean 'W2'? there are",
        ),
        ('close_node node="W1" stock_to="W9"', "changes[0].stock_to: 'W9' is not 'others', 'nobody' or another node"),
        ('close_node node="W1" stock_to="W2" from=2', "redirect_receipts moves what comes in meanwhile"),
        ('open_node id="W1" lat=1 lon=1 like="W2"', "changes[0].id: 'W1' is a node of this network already"),
        ('move_stock source="W1" target="W1"', "changes[0].target: 'W1' is the source too"),
        ('move_stock source="W1" target="W2" skus=["mugs"]', "'mugs' is not an SKU here; did you mean 'mug'?"),
        ('carrier_strike services=["slowly"]', "'slowly' is not a service of this network; did you mean 'slow'?"),
        ('scale_demand percent=120 regions=["norht"]', "did you mean 'north'? there are middle, north"),
        ("scale_demand percent=0", "changes[0].percent: 0 leaves no order"),
        ('policy name="psychic"', "changes[0].name: 'psychic' is not a policy; there are nearest"),
        ('policy name="magento.priority" settings={knobs=3}', "changes[0].name: settings of magento.priority"),
        (
            "surcharge cents=100 from=2025-01-01",
            "on 2025-01-01 nothing would change; the orders of the history are of 2024-05-01",
        ),
        ("surcharge cents=100 until=2023-01-01", "changes[0].until: on 2023-01-01 nothing would change"),
        ("surcharge cents=100 from=2024-05-05 until=2", "changes[0].until: 2024-05-02 is before from, 2024-05-05"),
    ],
)
def test_what_the_network_does_not_have_is_refused_before_anything_is_replayed(change: str, says: str) -> None:
    with pytest.raises(Refusal) as found:
        apply(scenario(change), placed())
    assert says in str(found.value)


def test_a_name_is_a_file_or_of_the_library(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD)
    assert [one.name for one in scenarios_of([str(path), "pickup-20"])] == ["a", "pickup-20"]
    assert read_scenario(path) == scenarios_of([str(path)])[0]
    with pytest.raises(Refusal, match="did you mean 'pickup-20'"):
        scenarios_of(["pickup-30"])
    with pytest.raises(Refusal, match="'a' is the name of another scenario too"):
        scenarios_of([str(path), str(path)])


def test_a_ready_scenario_is_called_as_its_file_and_asks_a_question() -> None:
    ready = library()
    names = {file.name.removesuffix(".toml") for file in files("scenarios").joinpath("library").iterdir()}
    assert set(ready) == names
    assert [one.name for one in ready.values() if "?" not in one.why] == []


def test_the_page_lists_every_verb_with_its_settings() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*?\| (.*?) \|$", README.read_text(), re.MULTILINE)
    told = {verb: set(re.findall(r"`(\w+)`", settings)) for verb, settings in rows}
    assert set(told) == set(VERBS)
    for name, verb in VERBS.items():
        fields = {field.encode_name for field in msgspec.structs.fields(verb.settings)} - {"from", "until"}
        assert fields <= told[name], name
        dated = "days" in dict(rows)[name]
        assert dated == issubclass(verb.settings, CloseNode.__mro__[1]), name
