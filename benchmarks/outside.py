"""What lies beside the project and not in it: public data, and the maker of waves that is not ours."""

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import msgspec

from solver.wave import Wave

SHARED = Path(__file__).parent.parent.parent / "shared"


def data_folder() -> Path:
    """The folder of the public data sets, which may be absent."""
    return Path(os.environ.get("ALLOT_DATA") or SHARED / "data")


def data_file(folder: str, pattern: str) -> Path | None:
    """The first file of a data set whose name is like that, which may be absent."""
    return next(iter(sorted((data_folder() / folder).glob(pattern))), None)


def uci_file() -> Path | None:
    """UCI Online Retail, which may be absent."""
    return data_file("uci_online_retail", "*.parquet")


def example_waves() -> Path:
    """The folder of the example waves with proven optima, which may be absent."""
    return SHARED / "wave" / "examples"


class WaveMaker:
    """Makes waves by the public `make_wave.py`.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    """

    def __init__(self) -> None:
        path = SHARED / "wave" / "make_wave.py"
        if not path.is_file():
            raise FileNotFoundError("there is no shared/wave/make_wave.py beside the project")
        spec = spec_from_file_location("make_wave", path)
        assert spec is not None, "a .py file has a loader"
        assert spec.loader is not None, "a .py file has a loader"
        self.module: Any = module_from_spec(spec)
        spec.loader.exec_module(self.module)

    def make(
        self,
        orders: int,
        stores: int,
        warehouses: int,
        cover: float = 4.0,
        seed: int = 1,
        profile: str = "retail",
        capacity: float = 0.0,
        pickup: float = 0.15,
    ) -> Wave:
        """Make a wave."""
        made = self.module.make(
            orders=orders,
            stores=stores,
            warehouses=warehouses,
            profile=profile,
            cover=cover,
            pickup=pickup,
            capacity=capacity,
            seed=seed,
        )
        # through JSON, as a file would come
        return msgspec.json.decode(msgspec.json.encode(made), type=Wave)
