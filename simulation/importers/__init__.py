"""Importers: from files that others publish to a `history/1`, with a row by row report of what was left out and why.

Each importer is a module with `read(path, ...) -> Import`: `uci`, `superstore`, `olist`, `csv`.
"""

from simulation.importers import csv, olist, superstore, uci
from simulation.importers.report import Dropped, Import, files_of, write_import

__all__ = ["Dropped", "Import", "csv", "files_of", "olist", "superstore", "uci", "write_import"]
