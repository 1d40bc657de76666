"""What the benchmarks have in common: CPU time of process trees, rounds that are paired, tables.

A benchmark is not a test: it never fails for being slow. It ends with 0, or with 77 where it
cannot run (a line says why).
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/peers"))
