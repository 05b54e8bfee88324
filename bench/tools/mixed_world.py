"""Random small scenarios with every family of rules mixed, as the tables that a user would write.

Which rules are on is drawn independently, so that they meet in all combinations. Three sites or so, a handful of
classes: branch and bound closes them in a second. The same seed gives the same files.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EXACT_ONLY = ("spread", "failover", "served", "carbon_limit", "goals")
RULES = (
    "slices", "follow", "n_minus_1", "jobs", "pins", "moves", "periods", "installs", "export", "capex", "monthly",
    "residency", "vendor", "tenants", "transit", "carbon_price", "rent", "fleet", "stock", "energy", "rack_kw",
    "points", "latency_price", "own_penalty", "downlink", "open_price", *EXACT_ONLY,
)  # fmt: skip
UNCERTAIN = ("averages", "percentile", "late_price")
"""Drawn by themselves, after the others: a seed's world is what it was without them."""
LIKELY = {name: 0.04 if name in EXACT_ONLY else 0.4 for name in RULES} | {"own_penalty": 0.7, "slices": 0.6}
PLACES = {"DE": "DE,50,8", "FR": "FR,47,2", "CH": "CH,47,8"}
COUNTRIES = tuple(PLACES)


@dataclass(frozen=True)
class MixedWorld:
    """Where the scenario stands and which rules are on."""

    folder: Path
    rules: tuple[str, ...]


def write(folder: Path, seed: int) -> MixedWorld:
    """Write the scenario of `seed` to `folder`, which is made."""
    draw = _Draw(seed)
    folder.mkdir(parents=True)
    for name, text in draw.files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return MixedWorld(folder, tuple(rule for rule in (*RULES, *UNCERTAIN) if draw.on(rule)))


class _Draw:
    """One scenario as it is drawn, table by table."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = np.random.default_rng([seed, 4])
        self.rules = {rule for rule in RULES if self.rng.random() < LIKELY[rule]}
        self.doubt = np.random.default_rng([seed, 5])
        self.rules |= {rule for rule in UNCERTAIN if self.doubt.random() < 0.5}
        # What means nothing alone: replicas that follow slices, a policy without failures, installs without periods, a
        # percentile or a price on being late where all is measured.
        needed = {"follow": "slices", "failover": "n_minus_1", "installs": "periods"}
        for rule, needs in (needed | {"percentile": "averages", "late_price": "averages"}).items():
            if needs not in self.rules:
                self.rules.discard(rule)
        self.sites = [f"p{k}" for k in range(int(self.rng.integers(2, 5)))]
        self.regions = {f"r{k}": self.pick(*COUNTRIES) for k in range(int(self.rng.integers(2, 4)))}
        self.models = ["m", "n"][: int(self.rng.integers(1, 3))]
        self.country = {p: self.pick(*COUNTRIES) for p in self.sites}
        stood_in = set(self.country.values())
        self.sets = [""] + ["eu"] * (not stood_in.isdisjoint({"DE", "FR"}))
        self.sets += ["home"] * stood_in.issuperset(self.regions.values())
        self.slices = {"day": 16.0, "night": 8.0} if self.on("slices") else {}
        if self.on("transit") and self.slices and self.coin(0.5):
            self.slices = {"day": 14.8, "night": 8.0, "rush": 1.2}  # 5 % of the day
        self.periods = {"h1": 6.0, "h2": 3.5} if self.on("periods") else {}
        self.shapes = self._shape_rows()

    def on(self, rule: str) -> bool:
        return rule in self.rules

    def pick(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def coin(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def number(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 3)

    def files(self) -> dict[str, str]:
        tables: dict[str, list[str]] = {
            "sites": self._sites(),
            "regions": [
                "region,country,latitude,longitude,users",
                *(f"{r},{PLACES[country]},1000" for r, country in self.regions.items()),
            ],
            "services": self._services(),
            "demand": self._demand(),
            "models": ["model,kind", *(f"{m},chat" for m in self.models)],
            "gpus": ["gpu,memory_gb,mig_slices,tdp_w", "g,96,4,600", "h,80,1,700"],
            "servers": self._servers(),
            "profiles": ["profile,tokens_in,tokens_out,tpot_ms", "chat,1000,200,50", "code,2000,30,40"],
            "shapes": self.shapes,
            "measurements/pairs": self._pairs(),
        }
        tables |= self._limits() | self._time() | self._standing()
        found = {f"{name}.csv": "\n".join(rows) + "\n" for name, rows in tables.items()}
        if self.on("moves"):
            found["before/plan.json"] = json.dumps(self._before())
        return found | {"scenario.toml": self._document()}

    def _document(self) -> str:
        lines = [f'name = "mixed-{self.seed}"', "planning_date = 2026-12-01", f"seed = {self.seed}", "[money]"]
        lines += ["wacc = 0.08"]
        if self.on("latency_price"):
            lines.append("latency_usd_per_million_request_ms = 0.5")
        lines += [
            "[limits]",
            'default_residency = "anywhere"',
            f"replicas_follow_slices = {str(self.on('follow')).lower()}",
        ]
        if self.on("installs"):
            lines.append(f"installs_per_period = {self.pick(1, 2, 4)}")
        if self.on("served"):
            lines.append(f"min_served_share = {self.pick(0.1, 0.3)}")
        if self.on("carbon_limit"):
            lines.append(f"max_tco2e_month = {self.pick(0.3, 1.0)}")
        if self.on("n_minus_1"):
            policy = self.pick("proportional", "priority") if self.on("failover") else "planned"
            lines += ["[reliability]", 'n_minus_1 = ["metro"]', f'failover = "{policy}"']
        if self.on("moves"):
            lines += ["[stability]", 'previous_plan = "before"', f"usd_per_move = {self.pick(0, 5, 60)}"]
            lines += [f"max_moves = {self.pick(1, 2, 4)}"] if self.coin(0.5) else []
        lines.append("[uncertainty]")
        if self.on("percentile"):
            lines.append(f"percentile = {self.doubt.choice([0.05, 0.3, 0.5, 0.8])}")
        if self.on("late_price"):
            lines.append(f"late_usd_per_1000 = {self.doubt.choice([0.05, 0.5, 3])}")
        lines.append("[objective]")
        if self.on("carbon_price"):
            lines.append(f"usd_per_tco2e = {self.pick(100, 1000)}")
        if self.on("goals"):
            lines.append(f"goals = {json.dumps(self.pick(['served', 'cost'], ['carbon', 'cost'], ['latency']))}")
        return "\n".join(lines) + "\n"

    def _sites(self) -> list[str]:
        columns = "site,country,latitude,longitude,power_kw,rack_units,uplink_mbps,egress_usd_per_gb,downlink_mbps,"
        columns += "max_kw_per_rack,open_usd_month,usd_per_kw_month,usd_per_kwh,pue,gco2_per_kwh,"
        columns += "transit_usd_per_mbps_month,transit_billing,vendor_jurisdiction,delivery_group"
        rows = [columns]
        for p in self.sites:
            price = self.pick(1, 20) if self.on("transit") and self.coin(0.7) else ""
            billing = self.pick("peak", "p95", "mean") if price != "" else ""
            cells = [
                p,
                PLACES[self.country[p]],
                self.pick(12, 40) if self.on("fleet") else self.pick(3, 6, 12, 40),
                self.pick(12, 42) if self.on("fleet") else self.pick(6, 12, 42),
                self.pick(0.6, 2, 200),
                self.pick(0.01, 0.1),
                self.pick(0.5, 9) if self.on("downlink") else "",
                self.pick(9, 40) if self.on("rack_kw") else "",
                self.pick(0, 80, 400) if self.on("open_price") else 0,
                self.pick(20, 90),
                self.pick(0.1, 0.3),
                self.pick(1.1, 1.5),
                self.pick(40, 400),
                price,
                billing,
                self.pick("US", "FR") if self.on("vendor") else "",
                "east" if p == "p0" else self.pick("", "east"),
            ]
            rows.append(",".join(str(cell) for cell in cells))
        return rows

    def _services(self) -> list[str]:
        columns = "service,profile,latency_budget_ms,kbyte_in,kbyte_out,round_trips,unserved_usd_per_1000,residency,"
        columns += "tenant,dedicated,backup_latency_budget_ms,min_share,max_sites"
        rows = [columns]
        for name, budget, kbyte in (("chat", 120, "5,10"), ("code", 160, "10,60")):
            penalty = self.pick(0.3, 1, 4) if self.on("own_penalty") else ""
            residency = self.pick(*self.sets) if self.on("residency") else ""
            tenant = self.pick("acme,yes", "acme,", ",") if self.on("tenants") else ","
            backup = self.pick("", budget, 2 * budget) if self.on("n_minus_1") else ""
            spread = self.pick("0.3,", ",1", "0.4,2") if self.on("spread") else ","
            rows.append(
                f"{name},{name},{budget},{kbyte},{self.pick(1, 1, 2)},{penalty},{residency},{tenant},{backup},{spread}"
            )
        return rows

    def _demand(self) -> list[str]:
        rows = ["region,model,service,slice,period,requests_per_s,mean_requests_per_s"]
        for r in self.regions:
            for m in self.models:
                service = self.pick("chat", "code")
                if self.coin(0.15):
                    continue
                for h in self.periods or [""]:
                    for t in self.slices or [""]:
                        peak = self.number(0.3, 9)
                        rows.append(f"{r},{m},{service},{t},{h},{peak},{self.pick('', round(peak / 2, 3))}")
        if len(rows) == 1:
            rows += [
                f"{next(iter(self.regions))},m,chat,{t},{h},3,"
                for h in self.periods or [""]
                for t in self.slices or [""]
            ]
        return rows

    def _servers(self) -> list[str]:
        columns = "server,gpu,gpus,power_kw,rack_units,capex_usd,idle_kw,support_usd_month,months,rent_usd_month,"
        rent = self.pick(300, 900) if self.on("rent") else ""
        rows = [
            columns + "embodied_kgco2e",
            f"s2,g,2,2,2,16000,0.5,10,48,{rent},1500",
            f"s4,g,4,{self.pick(3.5, 5)},{self.pick(3, 4)},30000,0.8,20,48,,2600",
        ]
        if self.coin(0.3):
            rows.append("s8,g,8,9,8,56000,1.5,40,48,,5000")
        rows.append("h2,h,2,2.4,2,26000,0.4,15,36,,2000")
        return rows

    def _shape_rows(self) -> list[str]:
        rows = [
            "shape,model,gpu,gpus_per_replica,precision,profile,operating_point,requests_per_s,ttft_p95_ms,memory_gb,"
            "weights_gb,source"
        ]
        for m in self.models:
            kinds = [("q", "g", 0.25), ("a", "g", 1), ("b", "g", 2), ("c", "h", 1), ("d", "g", 4)]
            chosen = [kind for kind in kinds if self.coin(0.45)] or [kinds[1]]
            for name, gpu, gpus in chosen:
                rate, ttft = self.number(2, 7) * gpus, int(self.rng.integers(20, 70))
                points = (
                    [("near", 1.0, 0), ("far", 0.5, -15)]
                    if self.on("points") and self.coin(0.5)
                    else [("near", 1.0, 0)]
                )
                for point, part, sooner in points:
                    for profile, slower in (("chat", 1.0), ("code", 0.6)):
                        rows.append(
                            f"{m}{name}-{point},{m},{gpu},{gpus},fp8,{profile},{point},"
                            f"{round(rate * part * slower, 3)},{ttft + sooner},16,14,drawn"
                        )
        return rows

    def _pairs(self) -> list[str]:
        rows = ["observed_at,source,target,method,sent,received,rtt_ms,rtt_min_ms,rtt_avg_ms"]
        for r in self.regions:
            for p in self.sites:
                if self.coin(0.88):
                    ms = self.number(10, 90)
                    figures = f"{ms};{ms};{ms},,"
                    if self.on("averages") and self.doubt.random() < 0.7:  # of which an interval is inferred
                        figures = f",{round(ms * self.doubt.uniform(0.3, 1), 3)},{ms}"
                    rows.append(f"2026-11-30T00:00:00Z,{r},{p},icmp,3,3,{figures}")
        if len(rows) == 1:
            rows.append(f"2026-11-30T00:00:00Z,{next(iter(self.regions))},{self.sites[0]},icmp,3,3,9;9;9,,")
        return rows

    def _limits(self) -> dict[str, list[str]]:
        """Stock, export, money and places."""
        found = {
            "residency": [
                "residency,country",
                "anywhere,DE",
                "anywhere,FR",
                "anywhere,CH",
                "eu,DE",
                "eu,FR",
                "home,@own",
            ]
        }
        if self.on("vendor"):
            found["residency"] = [
                "residency,country,scope",
                *(f"{row}," for row in found["residency"][1:]),
                "eu,FR,vendor",
            ]
        when = list(self.periods) or [""]
        if self.on("stock"):
            group = self.pick("", "east")
            rows = [f"{h},{group},{s},{self.pick(1, 2, 3)}" for h in when for s in ("s2", "s4")]
            found["deliveries"] = ["period,delivery_group,server,quantity", *rows]
        if self.on("export"):
            since = self.pick("", "2027-03-01", "2025-01-01")
            most = f"{self.pick(*COUNTRIES)},{self.pick(0, 2, 4)}"
            found["export"] = ["gpu,server,country,max_gpus,from_date,reason", f"g,,{most},{since},drawn"]
        if self.on("capex") or self.on("monthly"):
            rows = ["period,capex_usd,monthly_usd"]
            for h in when:
                capex = self.pick(16000, 40000, 90000) if self.on("capex") else ""
                rows.append(f"{h},{capex},{self.pick(1500, 4000) if self.on('monthly') else ''}")
            found["budgets"] = rows
        if self.on("energy"):
            slice_name = list(self.slices)[-1] if self.slices else ""
            found["energy"] = ["site,country,slice,usd_per_kwh,gco2_per_kwh", f"{self.sites[0]},,{slice_name},0.5,700"]
        return found

    def _time(self) -> dict[str, list[str]]:
        """Slices, periods, failures and jobs."""
        found: dict[str, list[str]] = {}
        if self.slices:
            start, rows = 6.0, ["slice,start_utc,hours_per_day"]
            for name, hours in self.slices.items():
                clock = f"{int(start % 24):02d}:{round(start % 1 * 60):02d}"
                rows.append(f"{name},{clock},{hours}")
                start += hours
            found["slices"] = rows
        if self.periods:
            starts = ("2027-01-01", "2027-07-01")
            rows = [f"{h},{day},{months}" for (h, months), day in zip(self.periods.items(), starts, strict=True)]
            found["periods"] = ["period,start_date,months", *rows]
        if self.on("n_minus_1"):
            rows = [f"metro-{self.pick(0, 1, 2)},{p},metro" for p in self.sites]
            found["domains"] = ["domain,site,kind", *rows, f"grid,{self.sites[0]},grid"]
        if self.on("jobs"):
            found["jobs"] = self._jobs()
        return found

    def _jobs(self) -> list[str]:
        rows = ["job,kind,model,gpu,gpus,hours,window,preemptible,residency,data_gb,data_site,period"]
        for k in range(self.pick(1, 2)):
            window = self.pick("", *self.slices) if self.slices else ""
            data = f"{self.pick(5, 100)},{self.pick(*self.sites)}" if self.coin(0.6) else ","
            where = self.pick(*self.sets[:2]) if self.on("residency") else ""
            stop = self.pick("yes", "no")
            hours = self.number(1, 6) if window and stop == "no" else self.number(1, 60)
            period = self.pick(*self.periods) if self.periods else ""
            gang = f"{self.pick(*self.models)},g,{self.pick(1, 2)}"
            rows.append(f"job-{k},finetune,{gang},{hours},{window},{stop},{where},{data},{period}")
        return rows

    def _standing(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        if self.on("fleet"):
            found["fleet"] = ["site,server,count", f"{self.sites[0]},s2,{self.pick(1, 2)}", f"{self.sites[1]},s4,1"]
        if self.on("pins"):
            least, most = self.pick(("", 1), (0, 2), (1, 3), ("", 0))
            found["pins"] = [
                "model,site,min_replicas,max_replicas,reason", f"m,{self.pick(*self.sites)},{least},{most},drawn"
            ]  # fmt: skip
        return found

    def _before(self) -> dict[str, Any]:
        """A plan of which only what stands in it is read."""
        names = sorted({row.split(",")[0] for row in self.shapes[1:]})
        replicas = [
            {"site": p, "shape": self.pick(*names), "tenant": None, "slice": None, "period": None,
             "count": int(self.rng.integers(1, 3))}
            for p in self.sites if self.coin(0.6)
        ]  # fmt: skip
        return {"schema": "nearserve-plan-3", "periods": [], "replicas": replicas, "servers": []}
