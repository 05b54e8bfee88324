"""The protocol of inference by hand, readers of matrices, and baselines on networks they know exactly."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from bench.inference.baselines import distance_regression, shortest_path
from bench.inference.factorisation import factorisation
from bench.inference.matrix import Matrix, MatrixError, placed, read
from bench.inference.protocol import Amount, Estimate, Mask, figures, given, known_of, quantile
from bench.inference.run import main
from bench.inference.vivaldi import vivaldi

NAN = float("nan")


def square(*rows: list[float]) -> Matrix:
    return Matrix("by hand", np.array(rows, np.float64), square=True)


def four() -> Matrix:
    """Four nodes; 0 → 3 is not known, though 3 → 0 is."""
    return square([0, 10, 20, NAN], [10, 0, 40, 50], [20, 44, 0, 100], [60, 50, 100, 0])


def both_ways(*pairs: tuple[int, int]) -> Mask:
    known = np.zeros((4, 4), bool)
    for i, j in pairs:
        known[i, j] = known[j, i] = True
    return known & four().pairs


def test_errors_of_every_hidden_pair_by_hand() -> None:
    """Hidden: 1→2 40, 2→1 44, 1→3 50, 3→1 50, 3→0 60. Errors in that order: .5, .25, nothing said, .1, .05."""
    mid = np.array([[7, 7, 7, 7], [7, 7, 60, NAN], [7, 33, 7, 7], [57, 55, 7, 7]], np.float64)
    found = figures(four(), both_ways((0, 1), (0, 2), (2, 3)), Estimate(mid))
    assert (found.hidden, found.silent) == (5, 1)
    assert found.median == pytest.approx(0.25)
    assert found.p90 == np.inf
    assert np.isnan(found.covered)


def test_errors_of_long_round_trips_leave_the_short_ones_out() -> None:
    """Hidden: 0–1 10 both ways, errors 1 and 2; 2–3 100 both ways, errors .1 and .3; 30 ms is long, 29 is not."""
    mid = np.array([[0, 20, 0, 0], [30, 0, 0, 0], [0, 0, 0, 110], [0, 0, 70, 0]], np.float64)
    found = figures(four(), both_ways((0, 2), (1, 2), (1, 3), (0, 3)), Estimate(mid))
    assert (found.hidden, found.median, found.p90) == (4, pytest.approx(0.3), pytest.approx(2.0))
    assert (found.long_median, found.long_p90) == (pytest.approx(0.1), pytest.approx(0.3))
    for rtt_ms, expected in ((30.0, 0.5), (29.0, NAN)):
        matrix = Matrix("one", np.array([[rtt_ms, 50.0]]), square=False)
        f = figures(matrix, np.array([[False, True]]), Estimate(np.array([[rtt_ms / 2, 50.0]])))
        assert f.long_median == pytest.approx(expected, nan_ok=True)


def test_coverage_by_tenths_of_what_is_predicted() -> None:
    """Of 1 × 20 pairs the predicted 1 … 20 ms; intervals ±10 %; true are exact but for 3, 4 and 20."""
    mid = np.arange(1.0, 21.0)[None]
    truth = mid.copy()
    truth[0, [2, 3, 19]] = [5.0, 3.0, 10.0]
    order = np.random.default_rng(0).permutation(20)  # where a pair stands is immaterial
    matrix = Matrix("row", truth[:, order], square=False)
    mid = mid[:, order]
    found = figures(matrix, np.zeros((1, 20), bool), Estimate(mid, 0.9 * mid, 1.1 * mid))
    assert found.covered == pytest.approx(17 / 20)
    assert found.tenths == (1, 0, 1, 1, 1, 1, 1, 1, 1, 0.5)  # 3 and 4 make the second tenth
    assert found.width == pytest.approx(0.2)


def test_pairs_without_an_interval_count_neither_as_covered_nor_as_missed() -> None:
    matrix = Matrix("row", np.array([[10.0, 20.0, 30.0]]), square=False)
    mid = np.array([[10.0, NAN, 10.0]])
    found = figures(matrix, np.zeros((1, 3), bool), Estimate(mid, mid / 2, mid * 2))
    assert (found.covered, found.silent) == (0.5, 1)


def test_the_quantile_is_a_value_and_infinite_ones_count() -> None:
    assert quantile(np.array([3.0, np.inf, 1.0, 2.0]), 0.5) == 2.0
    assert quantile(np.array([3.0, np.inf, 1.0, 2.0]), 0.75) == 3.0
    assert quantile(np.array([3.0, np.inf, 1.0, 2.0]), 0.9) == np.inf
    assert np.isnan(quantile(np.empty(0), 0.5))


def random_square(nodes: int, seed: int = 0) -> Matrix:
    """Directions differ, and a tenth of the entries is not known."""
    random = np.random.default_rng(seed)
    rtt_ms = random.uniform(5, 200, (nodes, nodes))
    rtt_ms[random.random((nodes, nodes)) < 0.1] = NAN
    return Matrix("random", rtt_ms, square=True)


@pytest.mark.parametrize("seed", range(3))
def test_both_ways_of_a_pair_are_hidden_together(seed: int) -> None:
    matrix = random_square(40)
    known = known_of(matrix, Amount(partners=8), seed)
    hidden = matrix.pairs & ~known
    assert not (known & hidden.T).any()
    assert not known.diagonal().any()
    pairs = np.triu(known | known.T).sum()
    assert pairs == 40 * 8 / 2  # each pair is a partner to both of its ends
    assert not (known_of(matrix, Amount(partners=8), seed + 1) == known).all()


def test_known_are_partners_a_column_where_the_sides_differ_and_a_share_of_pairs_where_asked() -> None:
    matrix = Matrix("sides", np.full((30, 50), 10.0), square=False)
    assert known_of(matrix, Amount(partners=4), 0).sum() == 200
    assert known_of(matrix, Amount(share=0.3), 0).sum() == 450
    assert known_of(matrix, Amount(partners=1000), 0).sum() == 1500


def test_every_pair_is_as_likely_known_as_any_other() -> None:
    matrix = Matrix("square", np.full((8, 8), 10.0), square=True)
    times = sum(known_of(matrix, Amount(share=0.25), seed).astype(int) for seed in range(800))
    off = times[~np.eye(8, dtype=bool)]
    assert abs(off.mean() - 200) < 1e-9  # 7 of 28 pairs
    assert np.abs(off - 200).max() < 5 * np.sqrt(800 * 0.25 * 0.75)


def test_methods_are_told_of_known_pairs_only() -> None:
    matrix = random_square(12)
    known = known_of(matrix, Amount(partners=4), 0)
    told = given(matrix, known)
    assert sorted(zip(told.row, told.column, strict=True)) == sorted(zip(*np.nonzero(known), strict=True))
    assert (told.rtt_ms == matrix.rtt_ms[told.row, told.column]).all()
    assert (told.square, told.floor_ms, told.prior_ms) == (True, None, None)


def hidden_error(matrix: Matrix, known: Mask, mid_ms: np.ndarray) -> tuple[float, float]:
    found = figures(matrix, known, Estimate(mid_ms))
    return found.median, found.p90


def test_vivaldi_finds_points_of_a_plane() -> None:
    at = np.random.default_rng(0).uniform(0, 200, (60, 2))
    apart = np.linalg.norm(at[:, None] - at[None], axis=2)
    matrix = Matrix("plane", apart, square=True)
    known = known_of(matrix, Amount(partners=16), 0)
    median, p90 = hidden_error(matrix, known, vivaldi(given(matrix, known), 0, 2, heights=False))
    assert median < 0.001
    assert p90 < 0.01


def test_vivaldi_with_heights_finds_last_miles() -> None:
    random = np.random.default_rng(1)
    at, mile_ms = random.uniform(0, 50, (100, 3)), random.uniform(2, 60, 100)
    apart = np.linalg.norm(at[:30, None] - at[None, 30:], axis=2) + mile_ms[:30, None] + mile_ms[None, 30:]
    matrix = Matrix("miles", apart, square=False)
    known = known_of(matrix, Amount(partners=16), 0)
    with_heights = hidden_error(matrix, known, vivaldi(given(matrix, known), 0, 3, heights=True))
    without = hidden_error(matrix, known, vivaldi(given(matrix, known), 0, 3, heights=False))
    assert with_heights[0] < 0.03
    assert with_heights[0] < 0.8 * without[0]


def test_factorisation_finds_products() -> None:
    """log t of rank two with biases, two-sided."""
    random = np.random.default_rng(2)
    logs = 4 + random.normal(0, 0.3, (50, 1)) + random.normal(0, 0.3, (1, 70))
    logs = logs + random.normal(0, 0.5, (50, 2)) @ random.normal(0, 0.5, (2, 70))
    matrix = Matrix("product", np.exp(logs), square=False)
    known = known_of(matrix, Amount(share=0.5), 0)
    median, p90 = hidden_error(matrix, known, factorisation(given(matrix, known), 0))
    assert median < 0.02
    assert p90 < 0.08


def test_distance_regression_finds_a_line_in_spite_of_an_outlier() -> None:
    at = np.column_stack([np.linspace(-40, 60, 30), np.linspace(-100, 140, 30)])
    matrix = placed("line", np.zeros((30, 30)), True, at, at)
    assert matrix.km is not None
    rtt_ms = 12 + 0.018 * matrix.km
    rtt_ms[3, 4] = 5000.0
    known = known_of(Matrix("line", rtt_ms, True), Amount(partners=10), 1)
    known[3, 4] = True
    found = distance_regression(given(Matrix("line", rtt_ms, True), known), matrix.km)
    assert found[10, 20] == pytest.approx(12 + 0.018 * matrix.km[10, 20], rel=0.01)


def test_shortest_paths_are_those_of_another_library() -> None:
    matrix = random_square(25)
    known = known_of(matrix, Amount(partners=3), 0)
    found = shortest_path(given(matrix, known))
    graph = nx.Graph()
    graph.add_nodes_from(range(25))
    for i, j in zip(*np.nonzero(known | known.T), strict=True):
        ways = [matrix.rtt_ms[p, q] for p, q in ((i, j), (j, i)) if known[p, q]]
        graph.add_edge(int(i), int(j), weight=float(np.mean(ways)))
    apart = dict(nx.all_pairs_dijkstra_path_length(graph))
    for i in range(25):
        for j in range(25):
            assert found[i, j] == pytest.approx(apart[i].get(j, NAN), nan_ok=True)


def test_a_node_without_a_partner_is_not_estimated() -> None:
    rtt_ms = np.full((4, 4), 10.0)
    matrix = Matrix("lonely", rtt_ms, square=True)
    known = both_ways((0, 1), (1, 2), (0, 2))
    for found in (vivaldi(given(matrix, known), 0, 2, True), factorisation(given(matrix, known), 0)):
        assert np.isnan(found[3, :3]).all()
        assert np.isfinite(found[0, 1])
        assert figures(matrix, known, Estimate(found)).median == np.inf


def test_matrices_are_read_from_all_kinds_of_files(tmp_path: Path) -> None:
    rtt_ms = np.array([[0.0, 12.5, NAN], [13.5, 0.0, -1.0], [30.0, np.inf, 0.0]])
    np.save(tmp_path / "a.npy", rtt_ms)
    np.savez(tmp_path / "a.npz", rtt=np.stack([rtt_ms, rtt_ms + 1]))
    (tmp_path / "a.csv").write_text("0,12.5,\n13.5,0,-1\n30,inf,0\n")
    (tmp_path / "named.csv").write_text("node,x,y,z\nx,0,12.5,\ny,13.5,0,-1\nz,30,inf,0\n")
    for name in ("a.npy", "a.npz", "a.csv", "named.csv"):
        found = read(tmp_path / name)
        assert found.square
        assert np.argwhere(found.pairs).tolist() == [[0, 1], [1, 0], [2, 0]], name
        assert found.rtt_ms[found.pairs].tolist() == [12.5, 13.5, 30.0]
    assert not read(tmp_path / "a.csv", two_sided=True).square
    (tmp_path / "wide.csv").write_text("1,2,3\n4,5,6\n")
    assert not read(tmp_path / "wide.csv").square


def test_positions_give_distances_and_must_be_as_many_as_nodes(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("11,2,3\n4,5,6\n")
    places = tmp_path / "places.csv"
    places.write_text("latitude,longitude\n0,0\n0,1\n0,2\n0,3\n,\n")
    found = read(tmp_path / "wide.csv", places)
    assert found.km is not None
    assert found.floor_ms is not None
    assert found.km[0, 1] == pytest.approx(3 * 111.195, rel=1e-4)
    assert np.isnan(found.km[0, 2])
    assert found.floor_ms[0].tolist() == [pytest.approx(2.2239, rel=1e-4), pytest.approx(3.3358, rel=1e-4), 0.0]
    np.save(tmp_path / "four.npy", np.ones((4, 4)))
    with pytest.raises(MatrixError, match="5 positions for 4 nodes"):
        read(tmp_path / "four.npy", places)


@pytest.mark.parametrize("text", ["", "1\n", "a,b\nc,d\n"])
def test_what_is_no_matrix_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(MatrixError, match=r"bad\.csv"):
        read(tmp_path / "bad.csv")


def test_one_command_measures_any_matrix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = np.random.default_rng(0).uniform(0, 200, (30, 2))
    np.save(tmp_path / "plane.npy", np.linalg.norm(at[:, None] - at[None], axis=2))
    asked = ["--matrix", str(tmp_path / "plane.npy"), "--partners", "12", "--seeds", "2"]
    assert main([*asked, "--methods", "vivaldi 2D", "shortest path", "distance"]) == 0
    said = capsys.readouterr().out
    assert "plane K=12: 30 × 30, 360 of 870 pairs known" in said
    assert [line.split()[0] for line in said.splitlines()[-2:]] == ["vivaldi", "shortest"]  # no places, no distances
    assert main(["--matrix", str(tmp_path / "none.npy")]) == 4
