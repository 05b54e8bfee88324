"""One run as a line of a table."""

import math
from dataclasses import dataclass

from bench.tools.best_known import Best, split


@dataclass(frozen=True)
class Row:
    """Verified figures of one run; inf and -inf where there is no plan or no bound."""

    kind: str
    scale: str
    seed: int
    by: str  # "nearserve" or the peer
    pairs: int  # admissible; 0 where not counted
    plan_usd: float
    bound_usd: float  # verified; of a peer nothing is verified but its plan, and the bound beside it is nearserve's
    claimed_usd: float  # what the solver says
    constant_usd: float
    seconds: float
    peak_gb: float
    broken: str  # what fails to verify
    note: str = ""

    @property
    def instance(self) -> str:
        return f"{self.kind} {self.scale} {self.seed}"

    @property
    def proved(self) -> bool:
        """Whether both its plan and its bound are verified and its own."""
        return self.by == "nearserve" and self.plan_usd < math.inf and self.bound_usd > -math.inf

    @property
    def gap(self) -> float:
        """(z − L)/(z − C0), verified."""
        if not (self.plan_usd < math.inf and self.bound_usd > -math.inf):
            return math.inf
        if self.plan_usd <= self.bound_usd:
            return 0.0
        return (self.plan_usd - self.bound_usd) / max(self.plan_usd - self.constant_usd, 1e-12)

    def parts(self, best: Best | None) -> dict[str, float]:
        """The gap and what it is made of."""
        found = {"gap": self.gap, "plan_error": math.nan, "bound_error": math.nan, "unknown": math.nan}
        if best is not None and self.gap < math.inf:
            part = split(self.plan_usd, self.bound_usd, self.constant_usd, best)
            found |= {"plan_error": part.plan, "bound_error": part.bound, "unknown": part.unknown}
        return found

    def line(self, best: Best | None) -> str:
        """Within 100 columns, save for a note."""
        part = self.parts(best)
        plan = _usd(self.plan_usd - self.constant_usd)
        bound = _usd(self.bound_usd - self.constant_usd)
        errors = f"{_percent(part['plan_error']):>9}{_percent(part['bound_error']):>10}"
        text = f"{self.instance:14} {self.by:15}{plan:>12}{bound:>12}{_percent(self.gap):>8}{errors}"
        text += f"{self.seconds:7.0f}{self.peak_gb:6.2f}"
        if self.broken:
            return f"{text}  FAILED: {self.broken}"
        return f"{text}  {self.note}" if self.note else text


def _usd(value: float) -> str:
    return f"{value:,.1f}" if math.isfinite(value) else "-"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %" if math.isfinite(value) else "-"
