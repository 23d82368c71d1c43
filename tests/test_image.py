"""The image and the compose file, as far as can be seen without building: what they name is there, and what runs is kept small."""

import re
import shlex
from pathlib import Path
from typing import Any

import typer
import yaml

from api.cli import app

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = ("api", "worker", "migrate")


def instructions(name: str) -> list[str]:
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [line.removeprefix(name).strip() for line in lines if line.startswith(f"{name} ")]


def test_what_the_image_copies_is_there() -> None:
    copied = [word for line in instructions("COPY") if "--from" not in line for word in shlex.split(line)[:-1]]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    packages = re.search(r"packages = \[(.*)\]", (ROOT / "pyproject.toml").read_text())
    assert packages
    assert set(re.findall(r'"(\w+)"', packages[1])) <= set(copied)


def test_the_image_installs_what_is_locked_and_runs_as_nobody_in_particular() -> None:
    assert any("--require-hashes -r requirements.lock" in line for line in instructions("RUN"))
    assert instructions("USER") == ["10001"]
    assert DOCKERFILE.rindex("\nUSER ") > DOCKERFILE.rindex("\nCOPY ")
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE


def test_every_role_is_a_command_of_ours() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert "exec allot" in instructions("ENTRYPOINT")[0]
    assert instructions("CMD") == ['["serve"]']
    assert {COMPOSE["services"][name]["command"][0] for name in OURS} <= set(commands)


def test_the_services_can_write_nothing_and_have_no_rights() -> None:
    for name in OURS:
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["user"] == "10001"
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["stop_grace_period"] == "10s"


def test_nothing_starts_before_its_database_is_migrated() -> None:
    services = COMPOSE["services"]
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("api", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_secrets_come_from_files_that_are_not_in_the_repository() -> None:
    spelt = re.sub(r"#.*|POSTGRES_PASSWORD_FILE.*", "", (ROOT / "compose.yaml").read_text())
    assert not re.search(r"(?i)password[^_\n]*:[ \t]*\S", spelt)
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert "secrets" in (ROOT / ".dockerignore").read_text().splitlines()
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
