"""Files that cannot be read as what they claim to be end in findings."""

import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel
from small_scenario import TABLES, findings, only, put

from placement.scenario import inspect
from placement.scenario.dictionary import tables
from placement.scenario.docs import render_markdown
from placement.scenario.document import Document, parse
from placement.scenario.template import copy_dataset, write_template


def test_an_empty_file_says_so(folder: Path) -> None:
    for text in ("", "\n\n", "\ufeff"):
        put(folder, "sites.csv", text)
        assert only(folder, "empty-file").file == "sites.csv"


def test_a_required_table_without_rows_says_so(folder: Path) -> None:
    put(folder, "demand.csv", TABLES["demand"].splitlines()[0] + "\n")
    assert only(folder, "empty-table").file == "demand.csv"


def test_text_that_is_not_utf8_is_named_with_its_line(folder: Path) -> None:
    (folder / "sites.csv").write_bytes(TABLES["sites"].replace("Lisboa", "Málaga").encode("latin-1"))
    finding = only(folder, "encoding")
    assert (finding.file, finding.row) == ("sites.csv", 3)
    (folder / "scenario.toml").write_bytes(b'name = "\xff"\n')
    assert {f.file for f in findings(folder) if f.rule == "encoding"} == {"sites.csv", "scenario.toml"}


def test_a_folder_in_place_of_a_file_is_named(folder: Path) -> None:
    (folder / "sites.csv").unlink()
    (folder / "sites.csv").mkdir()
    assert only(folder, "unreadable").file == "sites.csv"


def test_a_folder_in_place_of_parquet_or_toml_is_named(folder: Path) -> None:
    (folder / "energy.parquet").mkdir()
    (folder / "scenario.toml").unlink()
    (folder / "scenario.toml").mkdir()
    assert {f.file for f in findings(folder) if f.rule == "unreadable"} == {"energy.parquet", "scenario.toml"}


def test_a_link_to_nowhere_is_named(folder: Path) -> None:
    (folder / "sites.csv").unlink()
    (folder / "sites.csv").symlink_to(folder / "gone.csv")
    assert only(folder, "unreadable").file == "sites.csv"


def test_a_file_name_that_cannot_be_printed_is_a_finding_that_can(folder: Path) -> None:
    for place in (folder, folder / "measurements"):
        (Path(os.fsdecode(os.fsencode(place) + b"/bad\xff.csv"))).write_text("", encoding="utf-8")
    found = [f for f in findings(folder) if f.rule == "unreadable"]
    assert len(found) == 2
    assert all(str(f).isprintable() for f in found)


def test_a_pipe_in_place_of_a_table_is_named_and_not_waited_for(folder: Path) -> None:
    (folder / "sites.csv").unlink()
    os.mkfifo(folder / "sites.csv")
    os.mkfifo(folder / "measurements" / "pipe.csv")
    assert only(folder, "unreadable").file == "sites.csv"


def test_semicolons_and_ragged_rows_are_named(folder: Path) -> None:
    put(folder, "regions.csv", TABLES["regions"].replace(",", ";"))
    assert "semicolons" in only(folder, "csv-syntax").message
    put(folder, "regions.csv", TABLES["regions"].replace("3000000", "3,000,000"))
    ragged = only(folder, "csv-syntax")
    assert (ragged.row, ragged.message) == (2, "8 cells where the header has 6")


def test_an_open_quote_is_named_with_the_line_it_begins_on(folder: Path) -> None:
    put(folder, "regions.csv", TABLES["regions"].replace("porto,Porto", 'porto,"Porto'))
    assert only(folder, "csv-syntax").row == 3


def test_junk_that_claims_to_be_parquet_is_named(folder: Path) -> None:
    for junk in (b"", b"PAR1", b"PAR1" + bytes(range(256)) + b"PAR1", b"not parquet at all"):
        (folder / "energy.parquet").write_bytes(junk)
        assert only(folder, "unreadable").file == "energy.parquet"


def test_odd_parquet_types_are_read_as_their_text(folder: Path) -> None:
    (folder / "models.csv").unlink()
    dictionary = pa.array(["m8", "m70"]).dictionary_encode()
    table = pa.table({"model": dictionary, "kind": pa.array([None, b"dense"], pa.binary())})
    pq.write_table(table, folder / "models.parquet")
    empty = only(folder, "empty-cell")
    assert (empty.file, empty.row, empty.column) == ("models.parquet", 2, "kind")


def test_every_table_of_the_contract_is_in_the_dictionary() -> None:
    expected = (
        "sites, regions, services, demand, slices, periods, models, gpus, servers, profiles, shapes, residency, "
        "export, deliveries, budgets, fleet, domains, energy, links, jobs, pins, endpoints"
    )
    assert ", ".join(tables()) == expected
    for name in ("slice", "period"):
        assert not tables()["demand"].column(name).required
    assert tables()["shapes"].key == ("shape", "profile")


def test_references_point_at_columns_that_exist_and_choices_have_no_window() -> None:
    for table in tables().values():
        assert table.key, table.name
        for column in table.columns:
            assert column.description, (table.name, column.name)
            if column.refers:
                other, name = column.refers
                assert name in tables()[other].names
            if column.numeric:
                assert column.unit, (table.name, column.name)


def test_the_page_of_the_data_dictionary_is_current() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "data-dictionary.md"
    assert page.read_text(encoding="utf-8") == render_markdown(), "run `python -m placement.scenario.docs`"


def test_the_template_is_five_small_files_and_sound(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_template(folder)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == [
        "demand.csv",
        "measurements/sample.csv",
        "regions.csv",
        "scenario.toml",
        "services.csv",
        "sites.csv",
    ]
    report = inspect(folder)
    assert report.findings == ()
    assert report.scenario is not None
    for name in ("sites", "regions", "services", "demand"):
        header = (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
        assert {column.name for column in tables()[name].columns if column.required} <= set(header)
    with pytest.raises(FileExistsError):
        write_template(folder)


def test_every_key_of_the_document_stands_in_the_template_and_is_sound_once_it_counts(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    write_template(folder)
    text = (folder / "scenario.toml").read_text(encoding="utf-8")
    uncommented = re.sub(r"^# (?=\[\w+\]|\w+ = )", "", text, flags=re.MULTILINE)
    document, found = parse(uncommented)
    assert found == []
    assert document is not None
    for section, field in Document.model_fields.items():
        part = getattr(document, section)
        if isinstance(field.default, BaseModel):
            assert set(type(part).model_fields) - part.model_fields_set <= {"operating_points"}, section


def test_a_bundled_scenario_is_copied_whole_and_only_by_its_name(tmp_path: Path) -> None:
    copy_dataset("intercloud-2022", tmp_path / "copy")
    assert inspect(tmp_path / "copy").scenario is not None
    for name in ("catalog", "no-such", "", "../datasets/intercloud-2022"):
        with pytest.raises(LookupError, match="intercloud-2022"):
            copy_dataset(name, tmp_path / "other")


@pytest.mark.parametrize("name", ["atlas-2025", "intercloud-2022"])
def test_bundled_scenarios_have_no_error(name: str) -> None:
    from placement.datasets import dataset  # noqa: PLC0415

    report = inspect(dataset(name))
    assert [str(f) for f in report.findings if f.severity == "error"] == []
    assert report.later == ()
