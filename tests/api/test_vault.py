"""Secrets are kept sealed, and the key to them is not in the database."""

import base64
import os
import stat
from pathlib import Path

import pytest

from api.settings import Settings, read_settings
from api.vault import FILE, Vault, vault_of
from solver.refusal import Refusal

OLD, NEW = (base64.b64encode(bytes([i]) * 32).decode() for i in (1, 251))


def embedded(folder: Path) -> Settings:
    return read_settings(database_url=f"sqlite:///{folder / 'allot.db'}")


def test_a_sealed_secret_does_not_show_and_can_be_read_again() -> None:
    vault = Vault(OLD)
    sealed = vault.seal("whsec_1")
    assert "whsec_1" not in sealed
    assert vault.unseal(sealed) == "whsec_1"


def test_a_new_key_before_the_old_one_seals_while_both_unseal() -> None:
    sealed = Vault(OLD).seal("whsec_1")
    both = Vault(f"{NEW}\n{OLD}\n")
    assert both.unseal(sealed) == "whsec_1"
    assert Vault(NEW).unseal(both.seal("whsec_2")) == "whsec_2"
    with pytest.raises(Refusal, match="not the key that this secret was sealed with"):
        Vault(NEW).unseal(sealed)


def test_what_is_no_key_is_refused_and_not_shown() -> None:
    with pytest.raises(Refusal, match="ALLOT_SECRET_KEY") as refused:
        Vault("hush-hush")
    assert "hush" not in str(refused.value)


def test_an_embedded_database_has_a_key_beside_it_that_nobody_else_reads(tmp_path: Path) -> None:
    sealed = vault_of(embedded(tmp_path)).seal("whsec_1")
    assert vault_of(embedded(tmp_path)).unseal(sealed) == "whsec_1"
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_of_two_who_make_the_key_at_once_both_have_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads, or two containers whose processes have one number."""
    sealed: list[str] = []
    flush = os.fsync

    def meanwhile(file: int) -> None:
        monkeypatch.setattr(os, "fsync", flush)
        sealed.append(vault_of(embedded(tmp_path)).seal("whsec_1"))
        flush(file)

    monkeypatch.setattr(os, "fsync", meanwhile)
    assert vault_of(embedded(tmp_path)).unseal(*sealed) == "whsec_1"
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_server_needs_a_key_from_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = "postgresql+psycopg://allot@localhost/allot"
    with pytest.raises(Refusal, match="ALLOT_SECRET_KEY: must be set"):
        vault_of(read_settings(database_url=url))
    (tmp_path / "key").write_text(OLD)
    monkeypatch.setenv("ALLOT_SECRET_KEY_FILE", str(tmp_path / "key"))
    settings = read_settings(database_url=url)
    assert OLD not in repr(settings)
    assert vault_of(settings).unseal(Vault(OLD).seal("whsec_1")) == "whsec_1"
