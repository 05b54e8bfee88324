"""Attacks against real agents, collectors and reflectors: the bench finds each refused, counted, logged, survived."""

import gzip
import json
from pathlib import Path

import pytest

from bench.probing.collector_process import CollectorProcess, records_of
from bench.probing.security import main, played
from bench.probing.security_row import Cell, Row, table
from probes.transport import encode


def test_agent_sends_nothing_where_its_owner_does_not_want_it() -> None:
    rows = played("targets")
    assert [row for row in rows if not row.right] == [], table(rows)
    titles = [row.threat for row in rows]
    assert len(set(titles)) == len(titles) >= 12
    assert sum("rebinding" in title for title in titles) >= 6


def test_the_collector_takes_nothing_from_attackers_and_goes_on() -> None:
    rows = played("collector")
    assert [row for row in rows if not row.right] == [], table(rows)
    titles = [row.threat for row in rows]
    assert len(set(titles)) == len(titles) >= 25


def test_a_threat_that_is_not_met_is_marked_and_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fine = Cell(True, "fine")
    monkeypatch.setattr(
        "bench.probing.security.PARTS",
        {
            "one": lambda _: iter(
                [Row("agent", "met", *[fine] * 4), Row("agent", "unmet", fine, Cell(False, "0 → 0"), fine, fine)]
            )
        },
    )
    assert main([]) == 1
    told = capsys.readouterr().out
    assert "unmet | fine | WRONG 0 → 0 | fine" in told and "2 threats, 1 of them not met" in told


def test_a_batch_of_which_every_row_is_refused_is_answered_row_by_row(tmp_path: Path) -> None:
    head, first, *_ = gzip.decompress(encode(records_of("fra1", 0, 1, "refused"), "fra1")).split(b"\n")
    row = json.loads(first)
    row[json.loads(head)["columns"].index("sent")] = -5
    with CollectorProcess(tmp_path, ["fra1"]) as collector:
        answer = collector.deliver(gzip.compress(b"\n".join((head, json.dumps(row).encode(), b""))), "fra1")
        assert (answer["status"], answer["accepted"], [one["field"] for one in answer["refused"]]) == (200, 0, ["sent"])
        assert collector.send(records_of("fra1", 1, 3, "refused"))["accepted"] == 3
