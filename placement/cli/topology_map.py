"""The world as an SVG: every region a dot, as large as its users are many, coloured by the way to its nearest site."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from placement.topology.coverage import nearest_ms, region_weight
from placement.topology.export import atomically
from placement.topology.pairs import State

if TYPE_CHECKING:
    from placement.topology import Topology

WIDTH, HEIGHT, FOOT = 1440, 640, 44
NORTH, SOUTH = 78.0, -56.0  # nobody lives beyond
# From blue to red and dark, which the colour-blind tell apart too.
STEPS = ((10, "#2166ac"), (20, "#67a9cf"), (40, "#e3c21c"), (80, "#ee8722"), (160, "#c51b1b"), (np.inf, "#5a1048"))
UNKNOWN = "#8a8f98"
"""Of a region without any known site: a hollow ring."""

_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">
<title>{title}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<g stroke="#e6e9ee">{grid}</g>
<text x="16" y="26" font-size="17">{title}</text>
"""


def write_map(topology: "Topology", name: str, path: Path) -> None:
    """Writes the map; raises OSError when the place cannot be written."""
    text = world_map(topology, name)
    atomically(path, lambda temporary: Path(temporary).write_text(text, "utf-8"))


def world_map(topology: "Topology", name: str) -> str:
    """The SVG. Full dots: the pair with the nearest site is measured; pale ones: inferred; rings: no site is known."""
    head = _HEAD.format(
        width=WIDTH,
        height=HEIGHT + FOOT,
        title=escape(f"{name}: the round trip planned to the nearest site of each region"),
        grid=_grid(),
    )
    return head + "\n".join([_sites(topology), _regions(topology), _legend(), "</svg>\n"])


def _place(latitude: float, longitude: float) -> tuple[float, float]:
    """Degrees to pixels, equirectangular."""
    y = (NORTH - min(max(latitude, SOUTH), NORTH)) / (NORTH - SOUTH) * HEIGHT
    return (longitude + 180) / 360 * WIDTH, y


def _grid() -> str:
    lines = [(_place(NORTH, degrees), _place(SOUTH, degrees)) for degrees in range(-150, 180, 30)]
    lines += [(_place(degrees, -180), _place(degrees, 180)) for degrees in range(-30, 61, 30)]
    return "".join(f'<path d="M{a:.0f} {b:.0f}L{c:.0f} {d:.0f}"/>' for (a, b), (c, d) in lines)


def _sites(topology: "Topology") -> str:
    """Small crosses, all in one path."""
    at = [_place(*row) for row in topology.sites[["latitude", "longitude"]].to_numpy(float).tolist()]
    marks = "".join(f"M{x - 3:.1f} {y:.1f}h6M{x:.1f} {y - 3:.1f}v6" for x, y in at)
    return f'<path d="{marks}" stroke="#30353d" stroke-width="0.8" opacity="0.55"/>'


def _regions(topology: "Topology") -> str:
    pairs, table = topology.pairs, topology.regions
    nearest = nearest_ms(pairs.planned_rtt_ms)
    planned = np.where(np.isnan(pairs.planned_rtt_ms), np.inf, pairs.planned_rtt_ms)
    site = planned.argmin(axis=1) if len(pairs.sites) else np.zeros(len(nearest), np.int64)
    weight = region_weight(pairs, table, topology.demand)
    radius = 3 + 15 * np.sqrt(weight / max(weight.max(initial=0.0), 1e-300))
    dots = []
    for r in np.argsort(-radius, kind="stable").tolist():  # the small ones above the large
        x, y = _place(float(table["latitude"][r]), float(table["longitude"][r]))
        known = np.isfinite(nearest[r])
        measured = known and pairs.rtt_state[r, site[r]] == State.MEASURED
        colour = next(shade for most, shade in STEPS if nearest[r] <= most) if known else UNKNOWN
        style = f'fill="{colour}" fill-opacity="{0.9 if measured else 0.45}"' if known else 'fill="none"'
        told = f"{pairs.sites[site[r]]}, {nearest[r]:.0f} ms, {'measured' if measured else 'inferred'}"
        title = escape(f"{table['name'][r]} ({pairs.regions[r]}): {told if known else 'no site is known'}")
        circle = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius[r]:.1f}" {style} stroke="{colour}"'
        dots.append(f"<circle {circle}><title>{title}</title></circle>")
    return "\n".join(dots)


def _legend() -> str:
    x, y, parts = 16, HEIGHT + 26, []
    shown = [(f"≤ {most:.0f} ms" if np.isfinite(most) else "more", f'fill="{shade}"') for most, shade in STEPS]
    shown += [
        ("full: measured", 'fill="#555b66" fill-opacity="0.9" stroke="#555b66"'),
        ("pale: inferred", 'fill="#555b66" fill-opacity="0.45" stroke="#555b66"'),
        ("ring: no site is known", f'fill="none" stroke="{UNKNOWN}"'),
    ]
    for text, style in shown:
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="7" {style}/><text x="{x + 13}" y="{y}">{text}</text>')
        x += 38 + 8 * len(text)
    parts.append(f'<text x="{x}" y="{y}">+ site · size: requests/s</text>')
    return "\n".join(parts)
