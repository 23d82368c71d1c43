"""What goes wrong, made to go wrong: `python -m benchmarks.faults` (README.md of the benchmarks says how)."""
