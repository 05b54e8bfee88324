"""Work space of one annealing: what a move has touched and how it could be undone, moods of the sites, candidates."""

from typing import NamedTuple

import numpy as np

from solvers.chance import Random, new_random
from solvers.complete.anneal.land import Land
from solvers.problem import Bool, Float, Int

MOST_ROWS = 128
"""Rows that a move takes out."""
MOST_SITES = 16


class Desk(NamedTuple):
    """Scratch, written by one thread."""

    random: Random
    mood: Float  # P: what buying there is multiplied by in this move; inf: nothing new is put there
    dial: Float  # [0] part of a purchase charged in full, [1] USD of a quarter taken up, [2] those taken up before
    row: Int  # rows taken out
    row_mark: Bool  # I
    row_key: Float
    job: Int  # jobs taken out, `number[8]` of them
    job_mark: Bool  # J
    site: Int  # sites chosen
    site_mark: Bool  # P: chosen
    touched: Int  # P: sites changed in this move, `number[3]` of them
    touched_mark: Bool
    live: Int  # pairs of the row at hand whose sites are not barred, `number[6]` of them
    live_backup: Int  # and its backup pairs, `number[7]`
    backup_usd: Float  # the least they could cost by share, for the share `backup_share`
    backup_share: Float  # [0]; negative: nothing is known
    least: Int  # [0] the cheapest of `backup_usd`
    number: Int  # [0] rows, [1] sites, [2] saved records, [3] touched sites, [4] accepted, [5] tried, [8] jobs
    candidate_pair: Int
    candidate_share: Float
    candidate_usd: Float
    saved_row: Int
    saved_domain: Int
    saved_pair: Int
    saved_share: Float
    saved_unserved: Float
    saved_option: Int  # J, of jobs taken out
    saved_replicas: Int  # B, of touched sites
    saved_servers: Int  # O


def new_desk(land: Land, seed: int) -> Desk:
    rows, sites, jobs = len(land.penalty), len(land.open_usd), len(land.job_first) - 1
    widest = int(np.diff(land.pair_first).max(initial=0)) + 1
    saved = 64 * MOST_ROWS + 4096
    return Desk(
        random=new_random(seed),
        mood=np.ones(sites),
        dial=np.zeros(3),
        row=np.zeros(rows + 1, np.int64),
        row_mark=np.zeros(rows, np.bool_),
        row_key=np.zeros(rows + 1),
        job=np.zeros(jobs + 1, np.int64),
        job_mark=np.zeros(jobs, np.bool_),
        site=np.zeros(MOST_SITES + 1, np.int64),
        site_mark=np.zeros(sites, np.bool_),
        touched=np.zeros(sites, np.int64),
        touched_mark=np.zeros(sites, np.bool_),
        live=np.zeros(widest, np.int64),
        live_backup=np.zeros(int(np.diff(land.backup_first).max(initial=0)) + 1, np.int64),
        backup_usd=np.zeros(int(np.diff(land.backup_first).max(initial=0)) + 1),
        backup_share=np.full(1, -1.0),
        least=np.zeros(1, np.int64),
        number=np.zeros(9, np.int64),
        candidate_pair=np.zeros(widest, np.int64),
        candidate_share=np.zeros(widest),
        candidate_usd=np.zeros(widest),
        saved_row=np.zeros(saved, np.int64),
        saved_domain=np.zeros(saved, np.int64),
        saved_pair=np.zeros(saved, np.int64),
        saved_share=np.zeros(saved),
        saved_unserved=np.zeros(rows),
        saved_option=np.full(jobs, -1, np.int64),
        saved_replicas=np.zeros(len(land.block_site), np.int64),
        saved_servers=np.zeros(len(land.offer_usd), np.int64),
    )
