"""Secrets that must be read again (those that sign webhooks, say) are kept sealed: the key to them is not in the database.

The key comes with the settings (`ALLOT_SECRET_KEY`, or a file named by `ALLOT_SECRET_KEY_FILE`). With the embedded database it is
made at first use, in a file beside it that nobody else may read. Of several keys, one a line, the first seals,
all unseal, so that a new one can be put before the old.
"""

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import make_url

from api.settings import Settings
from solver.refusal import Refusal

FILE = "allot.key"


class Vault:
    """Seals and unseals.

    Parameters
    ----------
    keys
        Fernet keys (32 bytes, base64), the one that seals first.

    Raises
    ------
    Refusal
        `bad_setting`: they are none.
    """

    def __init__(self, keys: str) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys.split()])
        except ValueError as error:
            what = "needs keys of 32 bytes in base64, as `openssl rand -base64 32` makes them"
            raise Refusal("ALLOT_SECRET_KEY", what, "bad_setting") from error

    def seal(self, secret: str) -> str:
        """A secret as it may be kept."""
        return self._fernet.encrypt(secret.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """The secret again.

        Raises
        ------
        Refusal
            `wrong_secret_key`: it was sealed with a key that is not here.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise Refusal(
                "ALLOT_SECRET_KEY", "is not the key that this secret was sealed with", "wrong_secret_key"
            ) from error


def vault_of(settings: Settings) -> Vault:
    """The vault of a deployment.

    Raises
    ------
    Refusal
        `bad_setting`: no key is set, and there is no embedded database to keep one beside.
    """
    if settings.secret_key is not None:
        return Vault(settings.secret_key.get_secret_value())
    if not settings.embedded:
        raise Refusal(
            "ALLOT_SECRET_KEY",
            "must be set where the database is a server: secrets are kept sealed by it",
            "bad_setting",
        )
    database = make_url(settings.database_url).database
    assert database is not None, "settings were checked"
    return Vault(_kept(Path(database).with_name(FILE)))


def _kept(path: Path) -> str:
    """The key in a file, made if it is not there; whoever makes it first makes it for all."""
    draft = path.with_name(f"{path.name}.{token_hex(8)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(Fernet.generate_key().decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_text()
