"""API keys: who may do what. A key is shown once; what is kept is its hash."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from engine.database import Tx, decoded
from solver.refusal import Refusal

Scope = Literal["operator", "planner", "engineer", "node", "admin"]
OPERATOR: Scope = "operator"
PLANNER: Scope = "planner"
ENGINEER: Scope = "engineer"
NODE: Scope = "node"
ADMIN: Scope = "admin"
SCOPES: dict[Scope, str] = {
    OPERATOR: "works orders, holds and stock",
    PLANNER: "sets nodes, catalogue, channels and rules; promises, waves and what-ifs",
    ENGINEER: "connects systems: feeds, imports, jobs, the log of facts",
    NODE: "staff of one node: its consignments and its stock",
    ADMIN: "all of these, and keys",
}
PREFIX = "allot_"
_COLUMNS = "id, name, scopes, node, created_at, expires_at, revoked_at"


@dataclass(frozen=True)
class Key:
    """Who asks. `node` binds staff to one node."""

    id: str
    name: str
    scopes: frozenset[str]
    node: str | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    def may(self, scopes: tuple[Scope, ...]) -> bool:
        """Whether one of these scopes is this key's."""
        return ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)

    def bound_to(self) -> str | None:
        """The one node that this key may touch, where it is staff and nothing else."""
        return self.node if self.scopes == {NODE} else None

    def holds(self, at: int) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


def create(
    tx: Tx, at: int, name: str, scopes: list[str], node: str | None = None, expires_at: int | None = None
) -> tuple[Key, str]:
    """Make a key. What comes second is the key itself, which nobody can see again.

    Raises
    ------
    Refusal
        Unknown scopes, or staff of no node.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Refusal("scopes", f"must be some of {', '.join(SCOPES)}", "bad_scope")
    if (node is not None) != (NODE in scopes):
        raise Refusal("node", "is needed with scope node, and with no other", "bad_scope")
    if node is not None and len(set(scopes)) > 1:
        raise Refusal("scopes", "a key of a node's staff has no other scope", "bad_scope")
    if node is not None and tx.first("SELECT 1 FROM node WHERE id = :node", node=node) is None:
        raise Refusal("node", f"there is no node {node!r}", "unknown_node")
    secret = PREFIX + secrets.token_urlsafe(32)
    made = Key(f"key_{secrets.token_hex(8)}", name, frozenset(scopes), node, at, expires_at, None)
    tx.run(
        "INSERT INTO api_key (id, hash, name, scopes, node, created_at, expires_at) "
        "VALUES (:id, :hash, :name, :scopes, :node, :at, :expires_at)",
        id=made.id, hash=digest(secret), name=name, scopes=msgspec.json.encode(sorted(set(scopes))).decode(),
        node=node, at=at, expires_at=expires_at,
    )  # fmt: skip
    return made, secret


def find(tx: Tx, secret: str) -> Key | None:
    """The key that somebody showed, if there is one, valid or not."""
    found = tx.first(f"SELECT {_COLUMNS} FROM api_key WHERE hash = :hash", hash=digest(secret))  # noqa: S608
    return _key(found) if found else None


def listed(tx: Tx) -> list[Key]:
    """Every key, the oldest first."""
    return [_key(row) for row in tx.all(f"SELECT {_COLUMNS} FROM api_key ORDER BY created_at, id")]  # noqa: S608


def revoke(tx: Tx, at: int, id: str) -> Key:
    """End a key; ending it twice changes nothing.

    Raises
    ------
    Refusal
        There is none of that id.
    """
    tx.run("UPDATE api_key SET revoked_at = COALESCE(revoked_at, :at) WHERE id = :id", at=at, id=id)
    found = tx.first(f"SELECT {_COLUMNS} FROM api_key WHERE id = :id", id=id)  # noqa: S608
    if found is None:
        raise Refusal("key", f"there is no key {id!r}", "unknown_key")
    return _key(found)


def digest(secret: str) -> str:
    """What is kept of a key: 32 random bytes need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: tuple[Any, ...]) -> Key:
    id, name, scopes, node, created_at, expires_at, revoked_at = row
    granted = decoded(scopes)
    return Key(id, name, frozenset(granted), node, created_at, expires_at, revoked_at)
