"""Jobs and pins as written."""

from pathlib import Path

import pytest
from small_scenario import DOCUMENT, TABLES, findings, only, put, set_cell

from placement.scenario.checks.jobs import most_hours

SLICES = """slice,start_utc,hours_per_day
night,22:00,8
morning,06:00,6
noon,12:00,4
evening,16:00,6
"""
JOBS = """job,kind,model,gpu,gpus,hours,window,deadline,preemptible,data_gb,data_site
tune,finetune,m8,pro,2,20,night+morning,2026-01-05,yes,100,fra
align,posttrain,m70,pro,8,14,night+morning,,no,,
long,posttrain,m70,pro,16,48,,2026-01-02,no,,
"""


@pytest.fixture
def jobs(folder: Path) -> Path:
    names = [line.split(",")[0] for line in SLICES.splitlines()[1:]]
    rows = "".join(f"berlin,m8,assistant,{name},20\n" for name in names)
    put(folder, "slices.csv", SLICES)
    put(folder, "demand.csv", f"region,model,service,slice,requests_per_s\n{rows}berlin,m70,editor,noon,2\n")
    put(folder, "jobs.csv", JOBS)
    return folder


def test_three_sound_jobs_say_nothing(jobs: Path) -> None:
    assert findings(jobs) == ()


@pytest.mark.parametrize("gpus", ["3", "6", "12", "20"])
def test_a_gang_is_one_two_four_or_eights(jobs: Path, gpus: str) -> None:
    set_cell(jobs, "jobs", 2, "gpus", gpus)
    finding = only(jobs, "job-gang")
    place = ("jobs.csv", 2, "gpus", gpus, "error")
    assert (finding.file, finding.row, finding.column, finding.value, finding.severity) == place


def test_a_gang_needs_a_server_that_large_of_its_gpu(jobs: Path) -> None:
    put(jobs, "servers.csv", "".join(TABLES["servers"].splitlines(keepends=True)[:2]))  # of two GPUs only
    found = [finding for finding in findings(jobs) if finding.rule == "job-server"]
    assert [(f.file, f.row, f.column, f.value, f.severity) for f in found] == [
        ("jobs.csv", 3, "gpus", "8", "error"),
        ("jobs.csv", 4, "gpus", "16", "error"),
    ]
    put(jobs, "servers.csv", TABLES["servers"])
    put(jobs, "gpus.csv", TABLES["gpus"] + "big,192,1,1000\n")
    set_cell(jobs, "jobs", 2, "gpu", "big")
    assert (only(jobs, "job-server").row, only(jobs, "job-server").column) == (2, "gpu")


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("night+dawn", "unknown slice: no row of demand names 'dawn'"),
        ("night + morning", "' morning'"),
        ("night+", "''"),
        ("night+night", "stands twice"),
    ],
)
def test_a_window_is_slices_joined_by_plus(jobs: Path, window: str, message: str) -> None:
    set_cell(jobs, "jobs", 2, "window", window)
    found = [finding for finding in findings(jobs) if finding.rule == "job-window"]
    assert {(f.file, f.row, f.column, f.value, f.severity) for f in found} == {
        ("jobs.csv", 2, "window", window, "error")
    }
    assert message in found[0].message


def test_a_window_is_unknown_where_the_day_is_one_slice(folder: Path) -> None:
    put(folder, "jobs.csv", "job,kind,model,gpu,gpus,hours,window\nj,finetune,m8,pro,2,10,night\n")
    assert only(folder, "job-window").mend.endswith("There are none.")


def test_a_deadline_before_the_plan_begins_is_an_error(jobs: Path) -> None:
    set_cell(jobs, "jobs", 2, "deadline", "2025-12-31")
    finding = only(jobs, "job-deadline")
    place = ("jobs.csv", 2, "deadline", "2025-12-31", "error")
    assert (finding.file, finding.row, finding.column, finding.value, finding.severity) == place
    assert "before 2026-01-01" in finding.message


def test_a_deadline_counts_from_the_start_of_the_jobs_period(folder: Path) -> None:
    rows = "berlin,m8,assistant,a,20\nberlin,m8,assistant,b,20\n"
    put(folder, "demand.csv", f"region,model,service,period,requests_per_s\n{rows}")
    put(folder, "periods.csv", "period,start_date,months\na,2026-01-01,6\nb,2026-07-01,6\n")
    job = "job,kind,model,gpu,gpus,hours,deadline,period\nj,finetune,m8,pro,2,10,2026-02-01,{}\n"
    put(folder, "jobs.csv", job.format("a"))
    assert findings(folder) == ()
    put(folder, "jobs.csv", job.format(""))  # the first period
    assert findings(folder) == ()
    put(folder, "jobs.csv", job.format("b"))
    assert "before 2026-07-01" in only(folder, "job-deadline").message
    put(folder, "jobs.csv", job.format("a").replace("2026-02-01", "2026-07-01"))
    assert only(folder, "job-deadline").severity == "warning"
    put(folder, "jobs.csv", job.format("b").replace("2026-02-01", "2030-01-01"))
    assert findings(folder) == ()


def test_a_deadline_needs_a_date_to_count_from(jobs: Path) -> None:
    put(jobs, "scenario.toml", DOCUMENT.replace("planning_date = 2026-01-01\n", ""))
    found = [finding for finding in findings(jobs) if finding.rule == "job-deadline"]
    assert [(f.row, f.severity) for f in found] == [(2, "error"), (4, "error")]
    assert "nothing to count from" in found[0].message


@pytest.mark.parametrize(
    ("line", "column", "value", "fit", "how"),
    [
        (2, "hours", "70.1", "70 hours", "until its deadline"),  # (8 + 6) hours on each of the five days 1 … 5 January
        (3, "hours", "14.1", "14 hours", "in one run"),  # 22:00 to 12:00
        (3, "window", "night+noon", "8 hours", "in one run"),  # not consecutive
        (3, "window", "evening+morning", "6 hours", "in one run"),
        (4, "hours", "48.1", "48 hours", "until its deadline"),  # two whole days
        (4, "deadline", "2026-01-01", "24 hours", "until its deadline"),
    ],
)
def test_hours_that_cannot_fit_are_told_with_those_that_do(
    jobs: Path, line: int, column: str, value: str, fit: str, how: str
) -> None:
    set_cell(jobs, "jobs", line, column, value)
    finding = only(jobs, "job-hours")
    assert (finding.file, finding.row, finding.column, finding.severity) == ("jobs.csv", line, "hours", "error")
    assert finding.message.startswith(f"{fit} fit")
    assert how in finding.message


def test_hours_without_a_deadline_fit_in_the_period(folder: Path) -> None:
    put(folder, "jobs.csv", "job,kind,model,gpu,gpus,hours\nj,finetune,m8,pro,2,730\n")
    assert findings(folder) == ()
    set_cell(folder, "jobs", 2, "hours", "731")
    assert only(folder, "job-hours").message.startswith("730 hours fit")


def test_a_run_over_midnight_is_one_run() -> None:
    day = {"a": 6.0, "b": 6.0, "c": 6.0, "d": 6.0}
    assert most_hours(day, frozenset("da"), 3, stoppable=False) == 12
    assert most_hours(day, frozenset("ac"), 3, stoppable=False) == 6
    assert most_hours(day, frozenset("ac"), 3, stoppable=True) == 36
    assert most_hours(day, frozenset("abcd"), 3, stoppable=False) == 72
    assert most_hours(day, frozenset("acd"), 1, stoppable=False) == 18
    assert most_hours({}, frozenset(), 2, stoppable=False) == 48


def test_a_job_that_may_be_stopped_has_twelve_slices_at_most(folder: Path) -> None:
    names = [f"h{number:02d}" for number in range(16)]
    clock = "".join(f"{name},{n * 3 // 2:02d}:{'30' if n % 2 else '00'},1.5\n" for n, name in enumerate(names))
    put(folder, "slices.csv", f"slice,start_utc,hours_per_day\n{clock}")
    rows = "".join(f"berlin,m8,assistant,{name},1\n" for name in names)
    put(folder, "demand.csv", f"region,model,service,slice,requests_per_s\n{rows}")
    head = "job,kind,model,gpu,gpus,hours,preemptible,window\n"
    put(folder, "jobs.csv", f"{head}j,finetune,m8,pro,2,10,yes,{'+'.join(names[:12])}\nk,finetune,m8,pro,2,10,no,\n")
    assert findings(folder) == ()
    set_cell(folder, "jobs", 2, "window", "+".join(names[:13]))
    assert "13 slices" in only(folder, "job-window").message
    set_cell(folder, "jobs", 2, "window", "")
    assert "16 slices" in only(folder, "job-window").message


def test_data_that_lies_nowhere_is_doubted(jobs: Path) -> None:
    set_cell(jobs, "jobs", 2, "data_site", "")
    finding = only(jobs, "job-data")
    assert (finding.row, finding.column, finding.value, finding.severity) == (2, "data_gb", "100", "warning")


def test_the_residency_of_a_job_leaves_a_site(jobs: Path) -> None:
    put(jobs, "residency.csv", "residency,country\nhome,@own\nany,@any\nfr,FR\n")
    for line in (2, 3):
        set_cell(jobs, "services", line, "residency", "any")
    set_cell(jobs, "jobs", 2, "residency", "home")  # of the data in Frankfurt
    assert [f for f in findings(jobs) if f.severity == "error"] == []
    set_cell(jobs, "jobs", 3, "residency", "home")  # of no data
    finding = only(jobs, "job-residency")
    assert (finding.file, finding.row, finding.column, finding.value) == ("jobs.csv", 3, "residency", "home")
    set_cell(jobs, "jobs", 3, "residency", "fr")
    assert only(jobs, "job-residency").severity == "error"


PINS = "model,site,min_replicas,max_replicas,reason\nm8,fra,1,4,contract\nm70,lis,,0,law\n"


def test_pins_that_say_something_of_what_runs_are_sound(folder: Path) -> None:
    put(folder, "pins.csv", PINS)
    assert findings(folder) == ()


@pytest.mark.parametrize(
    ("rule", "line", "column", "value", "severity"),
    [
        ("pin-order", 2, "min_replicas", "5", "error"),
        ("pin-empty", 3, "max_replicas", "", "warning"),
    ],
)
def test_a_pin_in_disorder_or_empty_is_named(
    folder: Path, rule: str, line: int, column: str, value: str, severity: str
) -> None:
    put(folder, "pins.csv", PINS)
    set_cell(folder, "pins", line, column, value)
    finding = only(folder, rule)
    assert (finding.file, finding.row, finding.column, finding.severity) == ("pins.csv", line, "min_replicas", severity)


def test_the_same_model_and_site_is_pinned_once(folder: Path) -> None:
    put(folder, "pins.csv", PINS + "m8,fra,2,,again\n")
    assert only(folder, "duplicate-key").row == 4


def test_a_pin_of_a_model_that_nobody_asks_for_or_nothing_runs_is_doubted(folder: Path) -> None:
    put(folder, "models.csv", TABLES["models"] + "m3,dense\n")
    put(folder, "pins.csv", PINS + "m3,fra,1,,habit\n")
    found = [finding for finding in findings(folder) if finding.rule == "pin-without-use"]
    assert {(f.file, f.row, f.column, f.value, f.severity) for f in found} == {
        ("pins.csv", 4, "model", "m3", "warning")
    }
    assert sorted(f.message for f in found) == ["no row of demand asks for this model", "no shape runs this model"]
