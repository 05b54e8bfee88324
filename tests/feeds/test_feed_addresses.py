"""The table of addresses: everything that is wrong with it is told at once, with its place."""

from pathlib import Path

import pytest

from placement.feeds.addresses import AddressesError, is_host, read_addresses
from placement.scenario import load
from tests.tiny import write

SPOILT = """site,model,host,port
alpha,,192.0.2.300,8000
alfa,,192.0.2.1,8000
beta,m9,192.0.2.1,0
,,host name,65536
beta,m8,192.0.2.1,8000
beta,m8,192.0.2.1,8000
"""


def test_every_fault_is_told_with_line_column_value_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "addresses.csv"
    path.write_text(SPOILT)
    with pytest.raises(AddressesError) as raised:
        read_addresses(path, load(write(tmp_path / "scenario")))
    found = [(finding.row, finding.column, finding.value) for finding in raised.value.findings]
    assert sorted(found) == [
        (2, "host", "192.0.2.300"),
        (3, "site", "alfa"),
        (4, "model", "m9"),
        (4, "port", "0"),
        (5, "host", "host name"),
        (5, "port", "65536"),
        (5, "site", ""),
        (7, "host", "192.0.2.1"),
    ]
    assert "addresses.csv:3: site = 'alfa': the scenario has no such site. Did you mean 'alpha'?" in str(raised.value)
    assert "line 6 says the same address" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("site,port\nalpha,1\n", "the column 'host' is missing"),
        ("site,host,port,weight\nalpha,a.example,1,3\n", "no such column"),
        ("", "is empty"),
        ("site;host;port\n", "separated by semicolons"),
    ],
)
def test_a_table_of_another_form_says_what_it_wants(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "addresses.csv"
    path.write_text(text)
    with pytest.raises(AddressesError, match=told):
        read_addresses(path)


@pytest.mark.parametrize("text", ["192.0.2.1", "2001:db8::1", "a.example", "a-b.example.", "localhost", "_x.example"])
def test_hosts(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize("text", ["", "192.0.2.300", "10.0.0", "-a.example", "a..b", "a b", "x" * 64, "fe80::1%eth0"])
def test_no_hosts(text: str) -> None:
    assert not is_host(text)
