"""Every route's example works: what the description shows can be sent as it stands."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from api.kinds import KINDS
from engine import jobs
from engine.books import fsck
from engine.database import Database
from tests.api.http.conftest import APP, Desk, opened
from tests.api.http.world import fill

SCHEMA: dict[str, Any] = APP.openapi()
OPERATIONS = [
    (method, path, operation)
    for path, operations in SCHEMA["paths"].items()
    for method, operation in operations.items()
]


@pytest.fixture(scope="module")
def world(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The example network in a file, and the ids of what is in it."""
    path = tmp_path_factory.mktemp("world") / "allot.db"
    shutil.copy(sqlite_template, path)
    with Database(f"sqlite:///{path}") as database:
        with opened(database) as desk:
            ids = fill(desk)
        work = jobs.claim(database, desk.clock, "tests", list(KINDS))
        assert work
        assert jobs.perform(work, KINDS) == "done"
        solved = database.write(lambda tx: jobs.create(tx, 1, "job_solved", "none", "", b"", {}))
        database.write(
            lambda tx: tx.run("UPDATE job SET result = :r, state = 'done' WHERE id = :id", r=b"{}", id=solved.id)
        )
        database.write(lambda tx: tx.run("DELETE FROM api_key WHERE name = 'admin'"))
    return path, ids


@pytest.fixture
def shop(world: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Desk]:
    """A service on a copy of the example network."""
    path = tmp_path / "copy.db"
    shutil.copy(world[0], path)
    with Database(f"sqlite:///{path}") as database, opened(database) as desk:
        yield desk


def example_of(schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = SCHEMA["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema["example"] if "example" in schema else schema["examples"][0]


def send(desk: Desk, ids: dict[str, str], method: str, path: str, operation: dict[str, Any]) -> Any:
    """Send the example of a route, with the ids of the things that there are."""
    query, headers = {}, {}
    for parameter in operation.get("parameters", ()):
        if not parameter["required"]:
            continue
        said = parameter.get("example") or example_of(parameter["schema"])
        if parameter["in"] == "path":
            said = "job_solved" if operation["operationId"] == "get_job_result" else ids.get(said, said)
            path = path.replace(f"{{{parameter['name']}}}", said)
        else:
            (query if parameter["in"] == "query" else headers)[parameter["name"]] = said
    assert "{" not in path, path
    answers = []
    contents = operation.get("requestBody", {}).get("content", {None: None})
    for number, (media, content) in enumerate(contents.items()):
        more: dict[str, Any] = {"params": query, "headers": dict(headers)}
        if "Idempotency-Key" in headers:
            more["headers"]["Idempotency-Key"] = f"example {number}"
        if content is not None:
            said = content["example"] if "example" in content else example_of(content["schema"])
            text = said if isinstance(said, str) else json.dumps(said)
            for name, id in ids.items():
                text = text.replace(f'"{name}"', f'"{id}"')
            more["content"] = text
            more["headers"]["Content-Type"] = media
        answers.append(desk.ask(method.upper(), path, **more))
    return answers


def assert_described(answer: httpx.Response, operation: dict[str, Any]) -> None:
    """An answer is what the description says of its status."""
    content = operation["responses"][str(answer.status_code)].get("content", {})
    media = answer.headers["content-type"].partition(";")[0]
    if media == "application/json" and media in content:
        schema = {**content[media]["schema"], "components": SCHEMA["components"]}
        jsonschema_rs.validator_for(schema).validate(answer.json())


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[operation["operationId"] for _, _, operation in OPERATIONS]
)
def test_an_example_works_and_leaves_the_books_balanced(
    shop: Desk, world: tuple[Path, dict[str, str]], method: str, path: str, operation: dict[str, Any]
) -> None:
    for answer in send(shop, world[1], method, path, operation):
        assert 200 <= answer.status_code < 300, answer.text
        assert_described(answer, operation)
    with shop.database.read() as tx:
        assert fsck(tx) == []
