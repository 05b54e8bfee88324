"""Measurements that cannot be true, or no longer are: found by named gates, and left out or shown (docs/quality.md)."""

from placement.topology.gates.evidence import Positions, positions
from placement.topology.gates.judging import GATES, judge_days, judge_rows, quality
from placement.topology.gates.verdicts import EXCLUDE, FLAG, Verdicts

__all__ = ["EXCLUDE", "FLAG", "GATES", "Positions", "Verdicts", "judge_days", "judge_rows", "positions", "quality"]
