"""The bound proved in a process of its own beside the rules: the same report, whatever becomes of that process."""

import os
import signal
import time

import pytest
from audit_world import pairs, scenario, write

from placement.audit import audit, auditing
from placement.audit.beside import beside

LONG_S = 600


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def test_a_call_that_pays_runs_in_another_process_once():
    with beside(os.getpid, pays=True) as found:
        assert found() != os.getpid()
        assert found() == found()


@pytest.mark.parametrize(("pays", "cores"), [(False, {0, 1}), (True, {3})])
def test_a_call_that_does_not_pay_or_has_no_core_of_its_own_runs_here_once(monkeypatch, pays, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    calls = []
    with beside(lambda: calls.append(os.getpid()), pays=pays) as found:
        found()
        found()
    assert calls == [os.getpid()]


def test_where_the_other_process_is_killed_the_call_is_made_here():
    here = os.getpid()

    def call():
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return "made here"

    with beside(call, pays=True) as found:
        assert found() == "made here"


def test_what_the_call_raises_is_raised_where_its_result_is_asked_for():
    def call():
        raise OverflowError("beyond floats")

    with beside(call, pays=True) as found, pytest.raises(OverflowError, match="beyond floats"):
        found()


def test_a_process_that_nobody_waits_for_ends_with_the_block(tmp_path):
    def call():
        (tmp_path / "pid.new").write_text(str(os.getpid()))
        (tmp_path / "pid.new").rename(tmp_path / "pid")
        time.sleep(LONG_S)

    with pytest.raises(KeyboardInterrupt), beside(call, pays=True):
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_other_process_does_not_hear_the_interrupt_of_a_terminal_and_hears_the_end():
    def call():
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with beside(call, pays=True) as found:
        assert found() == (signal.SIG_IGN, signal.SIG_DFL)


@pytest.mark.parametrize("bound", [True, False])
def test_the_report_is_the_same_beside_as_one_after_the_other(tmp_path, monkeypatch, bound):
    plan = write(tmp_path / "plan")
    alone = audit(plan, scenario(), pairs(), bound=bound)
    monkeypatch.setattr(auditing, "LONG_WAYS", 0)
    assert audit(plan, scenario(), pairs(), bound=bound) == alone
    assert alone.passed


def test_where_it_pays_the_bound_is_proved_beside_the_rules(tmp_path, monkeypatch):
    proved_in = []
    monkeypatch.setattr(auditing, "bound_of", lambda *_: proved_in.append(os.getpid()))
    monkeypatch.setattr(auditing, "LONG_WAYS", 0)
    monkeypatch.setattr(auditing, "check_certificate", lambda *_: None)
    with pytest.raises(AttributeError):  # what is proved here is no bound
        audit(write(tmp_path / "plan"), scenario(), pairs())
    assert proved_in == []
