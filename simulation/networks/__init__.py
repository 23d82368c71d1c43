"""Example networks, shipped with the package: `uk` (3 warehouses, 8 stores) and `us` (4 warehouses, 12 stores)."""

from importlib.resources import as_file, files

from engine.network import Network, read_network

NAMES = ("uk", "us")


def example(name: str) -> Network:
    """Read an example network by its name."""
    assert name in NAMES, f"{name} is not one of {NAMES}"
    with as_file(files(__package__) / f"{name}.json") as path:
        return read_network(path)
