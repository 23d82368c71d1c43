"""The service as a process of its own: started on an empty folder, asked, ended."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from api.serving import warm_up
from engine import jobs
from engine.database import Database
from engine.migrations import is_current
from solver import kernels

LONGEST_DRAIN = 10.0


@dataclass
class Serving:
    process: subprocess.Popen[str]
    address: str
    lines: list[str]

    @property
    def key(self) -> str:
        return next(line.rpartition(" ")[2] for line in self.lines if "admin key" in line)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """End it; gives the exit code and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(30), time.monotonic() - started


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Serving]:
    log = (folder / "log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "serve", "--port", "0", *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=log,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1", **environment},
    )  # fmt: skip
    try:
        assert process.stdout
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if found := re.search(r" at (http://\S+)$", lines[-1]):
                yield Serving(process, found[1], lines)
                break
        else:
            pytest.fail(f"it does not serve: {lines}, {(folder / 'log').read_text()}")
    finally:
        process.kill()
        process.wait()
        log.close()
        if process.stdout:
            process.stdout.close()


def said(folder: Path, words: str, seconds: float = 10.0) -> str:
    """What a process has logged, once these words are in it."""
    ends = time.monotonic() + seconds
    while words not in (log := (folder / "log").read_text()) and time.monotonic() < ends:
        time.sleep(0.1)
    return log


def test_an_empty_folder_is_all_it_needs(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        answer = httpx.get(f"{first.address}/v1/keys", headers={"Authorization": f"Bearer {first.key}"})
        assert [key["name"] for key in answer.json()["data"]] == ["first"]
        assert httpx.get(f"{first.address}/readyz").status_code == 200
        assert is_current(f"sqlite:///{tmp_path}/allot.db")
        log = said(tmp_path, "there is no node yet")
        assert "nothing to do" in log, "a wave has nothing to decide with"
        assert "bug" not in log
        code, seconds = first.end()
        assert (code, seconds < LONGEST_DRAIN) == (0, True)
        secret = first.key
    with serving(tmp_path) as second:
        assert not any("admin key" in line for line in second.lines)
        assert httpx.get(f"{second.address}/v1/keys", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_the_first_start_says_that_it_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr(kernels, "compile_all", lambda: done.append("compiled"))
    monkeypatch.setattr(kernels, "warm_up", lambda: done.append("warm"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    warm_up()
    assert done == ["compiled", "warm"]
    assert "a minute or two, once" in capsys.readouterr().err
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "kernel.nbi").touch()
    warm_up()
    assert done == ["compiled", "warm", "warm"]
    assert capsys.readouterr().err == ""


def test_it_ends_in_time_whoever_still_watches_or_sends_half_a_request(tmp_path: Path) -> None:
    """And what was being answered when the signal came is answered."""
    with serving(tmp_path, ALLOT_DRAIN="4") as served:
        wearing = {"Authorization": f"Bearer {served.key}"}
        going, codes = threading.Event(), []

        def ask() -> None:
            with httpx.Client(base_url=served.address, headers=wearing) as client:
                while True:
                    try:
                        codes.append(client.get("/v1/keys").status_code)
                    except httpx.TransportError:
                        return  # it does not listen any more, or closed a connection that was idle
                    going.set()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        host, port = served.address.removeprefix("http://").split(":")
        import socket

        with socket.create_connection((host, int(port))) as half:
            half.sendall(b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert going.wait(10)
            code, seconds = served.end()
        for thread in threads:
            thread.join()
        assert code == 0
        assert seconds < LONGEST_DRAIN
        assert set(codes) == {200}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"ALLOT_DEBUG": ""})


def test_a_postgresql_database_is_migrated_by_its_own_command_alone(postgres_server: object, tmp_path: Path) -> None:
    from psycopg import sql
    from sqlalchemy import URL

    from tests.databases import _execute

    assert isinstance(postgres_server, URL)
    name = f"allot_empty_{os.getpid()}"
    _execute(postgres_server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = postgres_server.set(database=name).render_as_string(hide_password=False)
    try:
        for command in (["serve"], ["worker"], ["keys", "list"]):
            refused = run(*command, "--database", url)
            assert refused.exit_code == 2
            assert refused.stderr.count("\n") == 1
            assert "run `allot migrate` first" in refused.stderr
        assert run("migrate", "--database", url).exit_code == 0
        assert "as before" in run("migrate", "--database", url).stderr
        assert run("keys", "list", "--database", url).exit_code == 0
    finally:
        _execute(postgres_server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--database", "mysql://x/y"], "no database of ours"),
        (["serve", "--database", "nonsense"], "no database URL"),
        (["migrate", "--database", "postgresql://127.0.0.1:1/x"], "cannot be reached"),
        (["keys", "list", "--database", "sqlite:///nowhere.db"], "is not there"),
        (["serve", "--port", "99999"], "65535"),
        (["worker", "--database", "sqlite:///x.db"], "one writer"),
        (["serve", "--database", "sqlite:///no/such/folder/x.db"], "unable to open"),
        (["migrate", "--database", "sqlite://"], "names no file"),
        (["restore", __file__, "--database", "sqlite:///no/such/folder/x.db"], "there is no folder"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert said in refused.stderr
    assert not list(tmp_path.iterdir())


def test_secrets_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/named.db\n")
    monkeypatch.setenv("ALLOT_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert run("migrate").exit_code == 0
    assert (tmp_path / "named.db").exists()
    monkeypatch.setenv("ALLOT_DATABASE_URL_FILE", str(tmp_path / "none"))
    assert "cannot be read" in run("migrate").stderr
    monkeypatch.delenv("ALLOT_DATABASE_URL_FILE")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("ALLOT_THREADS", "many", "integer"),
        ("ALLOT_PORT", "-1", "greater than or equal to 0"),
        ("ALLOT_WAVE_EVERY", "inf", "finite"),
        ("ALLOT_RATE", "fast", "600/minute"),
        ("ALLOT_LOG_LEVEL", "loud", "debug, info, warning"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named_with_its_value_and_what_is(
    name: str, value: str, allowed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    refused = run("migrate", "--database", f"sqlite:///{tmp_path}/x.db")
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"allot: {name}: '{value}'")
    assert allowed in refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = subprocess.run(
            [sys.executable, "-m", "api", "serve", "--port", port], cwd=tmp_path, text=True, capture_output=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, timeout=300, check=False,
        )  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == f"allot: 127.0.0.1:{port}: cannot be listened on: see the log"


def test_a_database_that_cannot_be_written_is_no_bug(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    assert run("migrate", "--database", url).exit_code == 0
    with sqlite3.connect(tmp_path / "x.db") as other:
        other.execute("DROP TABLE api_key")
    refused = run("keys", "list", "--database", url)
    assert (refused.exit_code, refused.stderr) == (2, "allot: the database cannot be used: no such table: api_key\n")


def test_keys_are_made_listed_and_revoked(database_url: str) -> None:
    import json

    made = run("keys", "create", "web shop", "--scope", "operator", "--scope", "planner", "--database", database_url)
    assert made.exit_code == 0
    assert made.stdout.startswith("allot_")
    (listed,) = json.loads(run("keys", "list", "--json", "--database", database_url).stdout)["keys"]
    assert listed["scopes"] == ["operator", "planner"]
    assert run("keys", "revoke", listed["id"], "--database", database_url).exit_code == 0
    assert "revoked" in run("keys", "list", "--database", database_url).stdout
    assert "there is no key" in run("keys", "revoke", "key_none", "--database", database_url).stderr
    assert "must be some of" in run("keys", "create", "x", "--scope", "king", "--database", database_url).stderr


def test_a_worker_does_jobs_and_ends_when_told(make_url_of_empty: Callable[[], str], tmp_path: Path) -> None:
    url = make_url_of_empty()
    if url.startswith("sqlite"):
        pytest.skip("an embedded database has no other process")
    with Database(url) as database:
        database.write(lambda tx: jobs.create(tx, 1, "job_1", "solve", "", b"no wave", {"policy": "cheapest"}))
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "api", "worker", "--database", url], cwd=tmp_path, stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )  # fmt: skip
            try:
                ends = time.monotonic() + 60
                while time.monotonic() < ends:
                    with database.read() as tx:
                        if jobs.get(tx, "job_1").state == "failed":
                            break
                    time.sleep(0.1)
                else:
                    pytest.fail((tmp_path / "log").read_text())
                started = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
                assert time.monotonic() - started < LONGEST_DRAIN
            finally:
                process.kill()
                process.wait()


def test_a_sample_is_loaded_balances_and_is_exported(database_url: str, tmp_path: Path) -> None:
    loaded = run("load-sample", "--orders", "40", "--skus", "20", "--database", database_url, "--json")
    assert loaded.exit_code == 0, loaded.stderr
    assert "all books balance" in run("fsck", "--database", database_url).stdout
    exported = run("export", "history", "--out", str(tmp_path / "history"), "--database", database_url)
    assert exported.exit_code == 0, exported.stderr
    assert (tmp_path / "history" / "history.json").exists()
    with Database(database_url) as database:
        database.write(lambda tx: tx.run("UPDATE stock SET on_hand = on_hand + 1 WHERE sku_no = 1"))
    broken = run("fsck", "--database", database_url)
    assert broken.exit_code == 1
    assert "on_hand_is_movements" in broken.stdout
