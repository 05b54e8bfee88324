"""Measurement records to robust summaries: days to states that merge, states to figures.

One row per (source, target, method, family), whatever the order of records and of files, in bounded memory. A figure
over several records is never an average of percentiles: samples are pooled; where a record has only percentiles, the
p50 is the weighted median of the windows' p50s and the p95 the weighted 95 % quantile of the windows' p95s (of fewer
than twenty equal windows the largest), weighted by what was received. Counts and minima are exact, percentiles off by
less than 1 %, and exact where the values of a bucket are equal (`sketch`). Sums run over whole numbers, so that no
order of addition shows in the last bit.
"""

from placement.topology.summaries.days import Days, Summaries, days_of_folder, days_of_table, summarise
from placement.topology.summaries.window import Window, window_ending, window_start

__all__ = [
    "Days",
    "Summaries",
    "Window",
    "days_of_folder",
    "days_of_table",
    "summarise",
    "window_ending",
    "window_start",
]
