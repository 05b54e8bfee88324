"""Which agents are heard and which have gone quiet."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from probes.collector.config import Agents, Config, ledger_path
from probes.collector.identity import TokenFile, load_tokens
from probes.collector.ledger import Seen, agents_in

State = Literal["fresh", "quiet", "never"]
STATES: Final[tuple[State, ...]] = ("fresh", "quiet", "never")


@dataclass(frozen=True, slots=True)
class AgentState:
    """An agent expected or seen. Times are nanoseconds since 1970 UTC, None where it was never heard of."""

    name: str
    state: State
    expected_interval_s: float
    last_seen_ns: int | None = None
    last_observed_ns: int | None = None
    accepted: int = 0
    replayed: int = 0
    conflicting: int = 0
    refused: int = 0


def agent_states(seen: Iterable[Seen], agents: Agents, tokens: TokenFile, now_ns: int) -> list[AgentState]:
    """Every agent that was seen, is expected or has a token; the quiet ones first, then by name."""
    by_name = {one.agent: one for one in seen}
    names = {*by_name, *agents.names, *agents.interval_s, *tokens.agents}
    found = [_state(name, by_name.get(name), agents, now_ns) for name in names]
    order: dict[State, int] = {"quiet": 0, "never": 1, "fresh": 2}
    return sorted(found, key=lambda agent: (order[agent.state], agent.name))


def read_states(config: Config, now_ns: int) -> list[AgentState]:
    """The same from the files, read only, while a collector runs or not; all are `never` before its first start."""
    tokens = load_tokens(config.authentication.tokens)
    return agent_states(_seen(ledger_path(config)), config.agents, tokens, now_ns)


def _state(name: str, seen: Seen | None, agents: Agents, now_ns: int) -> AgentState:
    said = seen.next_in_s if seen else None
    interval_s = agents.interval_s.get(name) or said or agents.expected_interval_s
    if seen is None:
        return AgentState(name, "never", interval_s)
    quiet = now_ns - seen.last_seen_ns > agents.quiet_after * interval_s * 1e9
    counts = (seen.accepted, seen.replayed, seen.conflicting, seen.refused)
    state: State = "quiet" if quiet else "fresh"
    return AgentState(name, state, interval_s, seen.last_seen_ns, seen.last_observed_ns, *counts)


def _seen(path: Path) -> list[Seen]:
    if not path.exists():
        return []
    # Without a collector there is no write-ahead log, and then nothing can change under a reader.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"
    database = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=10)
    try:
        return agents_in(database)
    finally:
        database.close()
