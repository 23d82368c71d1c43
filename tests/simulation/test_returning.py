"""Where returns go in a replay: the same returns by every rule, and stock where they went."""

from typing import Any

import numpy as np
import pytest

from simulation.chance import Chance
from simulation.networks import example
from simulation.outlook import outlook_of
from simulation.placing import Placed, place
from simulation.receiving import Weekly
from simulation.replay import replay_placed
from simulation.returning import RULES, Returning
from simulation.run import Run
from simulation.synthetic import make_history
from solver.effort import Effort
from solver.policies import make


@pytest.fixture(scope="module")
def placed() -> Placed:
    network = example("us")
    return place(make_history(70, 5, network, 1), network, 1, Weekly())


@pytest.fixture(scope="module")
def runs(placed: Placed) -> dict[str, tuple[Returning, Run]]:
    made = {}
    for rule in RULES:
        returning = Returning(rule, outlook_of(placed), effort=Effort(seconds=None))
        policy = make("joint", Effort(seconds=None, work=50))
        run = replay_placed(placed, policy, chance=Chance(seed=2, give_back=0.5), returning=returning)
        made[rule] = returning, run
    return made


Runs = dict[str, tuple[Returning, Run]]


def test_every_unit_that_came_back_lies_somewhere(runs: Runs) -> None:
    for returning, run in runs.values():
        books = run.books
        assert (books.initial + books.received + books.returned - books.shipped - books.lost == books.final).all()
        assert returning.units == run.units_returned > 0
        assert books.returned.sum() <= returning.units, "what comes last is not on its shelf yet"


def test_only_what_goes_where_it_came_from_is_at_the_nodes_that_shipped(runs: Runs) -> None:
    assert runs["origin"][0].away == 0
    assert runs["nearest"][0].away > 0


def test_the_choice_is_never_dearer_than_a_rule_on_the_same_returns(runs: Runs) -> None:
    for returning, _ in runs.values():
        cost = returning.objective_cents
        assert cost["solver"] <= min(cost.values())
        assert returning.bound_cents <= cost["solver"] + 1e-6
    mine = runs["solver"][0]
    assert mine.carriage_cents + mine.handling_cents - mine.worth_cents == mine.objective_cents["solver"]


def test_without_a_rule_units_lie_where_they_came_from_and_nothing_is_counted(placed: Placed, runs: Runs) -> None:
    def by_row(run: Run) -> dict[tuple[int, int], int]:
        books: Any = run.books
        back = np.flatnonzero(books.returned)
        return {(int(books.sku[i]), int(books.node[i])): int(books.returned[i]) for i in back}

    policy = make("joint", Effort(seconds=None, work=50))
    plain = replay_placed(placed, policy, chance=Chance(seed=2, give_back=0.5))
    assert plain.units_returned == runs["origin"][1].units_returned
    assert plain.cost_cents == runs["origin"][1].cost_cents
    assert by_row(plain) == by_row(runs["origin"][1])
