"""What one replica can serve: a roofline of prefill, decode and tensor-parallel traffic (formulas: docs/catalog.md).

Prefill is bound by arithmetic, decode by memory traffic, and every step of a replica on several GPUs also pays for
its all-reduces. The roofline idea is Williams, Waterman, Patterson (CACM 2009); the counts of operations and bytes
are those of a transformer with grouped-query or latent attention and, where there are experts, top-k routing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

BYTES_PER_WEIGHT: Mapping[str, float] = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5625}  # fp4: one scale byte per 16 weights
BYTES_PER_KV_VALUE: Mapping[str, float] = {"bf16": 2.0, "fp8": 1.0, "fp4": 1.0}  # below 16 bit the cache is fp8
EMBEDDING_BYTES = 2.0  # embeddings and the output head stay in bf16
GIB_IN_GB = 1.073741824
MEMORY_SHARE = 0.9  # of the usable memory for weights and KV cache; the rest is runtime and activations
LATENT_ATTENTION_DIM = 160  # mean of 192 (query·key) and 128 (value) per head
WAIT_QUANTILE = 0.05  # one request in twenty waits longer


@dataclass(frozen=True)
class Gpu:
    """One GPU type: what a kernel can reach at best, before the calibrated efficiency."""

    name: str
    memory_gib: float
    tflops: Mapping[str, float]  # precision -> dense peak; a precision the GPU lacks is absent
    memory_tbps: float
    link_gbps: float  # between two GPUs of a server, one direction, GB/s
    allreduce_us: float  # latency of one all-reduce over a pair; grows with the ring
    source: str

    @property
    def memory_gb(self) -> float:
        """Usable memory in GB (10^9 bytes)."""
        return self.memory_gib * GIB_IN_GB


@dataclass(frozen=True)
class Model:
    """One model: what its published configuration fixes."""

    name: str
    kind: str
    layers: int
    hidden: int
    heads: int
    head_dim: int
    vocabulary: int
    tied: bool  # the output head is the embedding
    total_params: float
    active_params: float
    experts: int  # 0: dense
    experts_per_token: int
    kv_values_per_token: float  # numbers kept in the KV cache for one token, all layers
    source: str

    @property
    def embedding_params(self) -> float:
        """Weights of the embedding and, unless tied, of the output head."""
        return float(self.vocabulary * self.hidden * (1 if self.tied else 2))

    @property
    def matmul_params(self) -> float:
        """Weights that every token multiplies with: the active ones less the embedding that is only looked up."""
        return self.active_params - (0.0 if self.tied else float(self.vocabulary * self.hidden))

    @property
    def expert_params(self) -> float:
        """Weights of one expert over all layers: the inactive ones divided by the number of inactive experts."""
        if self.experts == 0:
            return 0.0
        return (self.total_params - self.active_params) / (self.experts - self.experts_per_token)


@dataclass(frozen=True)
class Load:
    """A kind of request: mean tokens in and out, and the time per output token that it tolerates."""

    tokens_in: float
    tokens_out: float
    tpot_ms: float = math.inf

    @property
    def mean_context(self) -> float:
        """Tokens in the KV cache of a request in flight, on average over its decode steps."""
        return self.tokens_in + self.tokens_out / 2


@dataclass(frozen=True)
class Efficiency:
    """What calibration finds: shares of the peaks that serving reaches, and the host's time for each request."""

    compute: float
    memory: float
    request_ms: float
    experts: float = 1.0  # what is left of `compute` and `memory` where tokens are routed to experts

    def scaled(self, speed: float) -> "Efficiency":
        """The same for an engine that is `speed` times as fast."""
        return Efficiency(self.compute * speed, self.memory * speed, self.request_ms / speed, self.experts)


@dataclass(frozen=True)
class Replica:
    """A model in one precision on `gpus` GPUs (a quarter and a half are MIG slices)."""

    model: Model
    gpu: Gpu
    gpus: float
    precision: str
    efficiency: Efficiency

    @property
    def weights_gb(self) -> float:
        """Memory for the weights, GB: embeddings in bf16, the rest in the precision."""
        other = self.model.total_params - self.model.embedding_params
        return (other * BYTES_PER_WEIGHT[self.precision] + self.model.embedding_params * EMBEDDING_BYTES) / 1e9

    @property
    def kv_gb_per_token(self) -> float:
        """KV cache of one token, GB."""
        return self.model.kv_values_per_token * BYTES_PER_KV_VALUE[self.precision] / 1e9

    def request_gb(self, load: Load) -> float:
        """KV cache of one request at its full length, GB."""
        return self.kv_gb_per_token * (load.tokens_in + load.tokens_out)

    @property
    def runtime_gb(self) -> float:
        """Memory kept for the runtime and activations, GB."""
        return self.gpus * self.gpu.memory_gb * (1 - MEMORY_SHARE)

    @property
    def usable_gb(self) -> float:
        """Memory for weights and KV cache, GB."""
        return self.gpus * self.gpu.memory_gb * MEMORY_SHARE

    @property
    def flops(self) -> float:
        """Operations a second that serving reaches."""
        return self.gpus * self.gpu.tflops[self.precision] * 1e12 * self.efficiency.compute * self._routing

    @property
    def bytes_per_s(self) -> float:
        """Bytes a second that serving reads from memory."""
        return self.gpus * self.gpu.memory_tbps * 1e12 * self.efficiency.memory * self._routing

    @property
    def _routing(self) -> float:
        return self.efficiency.experts if self.model.experts else 1.0

    def slots_in_memory(self, load: Load) -> int:
        """Requests whose KV cache, at full length, fits beside the weights; 0 when none does."""
        free = self.usable_gb - self.weights_gb
        return max(0, math.floor(free / self.request_gb(load)))

    def allreduce_s(self, tokens: float) -> float:
        """Time for the two all-reduces of every layer over `tokens` activations in bf16; 0 on one GPU.

        A ring moves 2(G−1)/G of the buffer over each link and takes 2(G−1) hops.
        """
        if self.gpus <= 1:
            return 0.0
        ring = 2 * (self.gpus - 1)
        moved = ring / self.gpus * tokens * self.model.hidden * 2.0
        once = moved / (self.gpu.link_gbps * 1e9) + ring * self.gpu.allreduce_us * 1e-6 / 2
        return 2 * self.model.layers * once

    def _touched_gb(self, tokens: float) -> float:
        """Weights read in a step over `tokens` tokens, GB: of the experts only those that some token is routed to."""
        model = self.model
        if model.experts == 0:
            return self.weights_gb
        missed = math.pow(1 - model.experts_per_token / model.experts, tokens)
        idle_params = model.experts * missed * model.expert_params
        return self.weights_gb - idle_params * BYTES_PER_WEIGHT[self.precision] / 1e9

    def prefill_work_s(self, load: Load) -> float:
        """Time that a prompt takes from the others: 2·N·S operations for the weights and 2·L·d·S² for causal
        attention, its all-reduces, and the host's time for the request. Its weights are read once for it and the
        decode step that it shares a batch with, so they count there."""
        model, tokens = self.model, load.tokens_in
        attention = 2.0 * model.layers * model.heads * model.head_dim * tokens**2
        arithmetic = (2.0 * model.matmul_params * tokens + attention) / self.flops
        return arithmetic + self.allreduce_s(tokens) + self.efficiency.request_ms * 1e-3

    def prefill_s(self, load: Load) -> float:
        """Time until a prompt that starts now has been read: its work, but no less than one pass over the weights."""
        return max(self.prefill_work_s(load), self._touched_gb(load.tokens_in) * 1e9 / self.bytes_per_s)

    def step_s(self, load: Load, in_flight: float) -> float:
        """Time of a decode step that gives every one of `in_flight` requests a token."""
        model, requests = self.model, max(in_flight, 1.0)
        cache_gb = requests * load.mean_context * self.kv_gb_per_token
        memory = (self._touched_gb(requests) + cache_gb) * 1e9 / self.bytes_per_s
        attention = 4.0 * model.layers * model.heads * model.head_dim * load.mean_context
        arithmetic = requests * (2.0 * model.matmul_params + attention) / self.flops
        return max(memory, arithmetic) + self.allreduce_s(requests)

    def tpot_s(self, load: Load, in_flight: float) -> float:
        """Time between a request's tokens: the step, stretched by the prefills that share the GPU.

        While a request makes `tokens_out` tokens, each of the others starts once, so a step carries
        in_flight / tokens_out prefills.
        """
        return self.step_s(load, in_flight) + in_flight * self.prefill_work_s(load) / load.tokens_out

    def requests_per_s(self, load: Load, in_flight: float) -> float:
        """The rate that keeps `in_flight` requests in flight on average: in_flight / (tokens_out · TPOT), after
        Little's law. It grows with `in_flight`."""
        return in_flight / (load.tokens_out * self.tpot_s(load, in_flight))

    def in_flight_within_tpot(self, load: Load, limit: float) -> float:
        """The most requests in flight, up to `limit`, whose TPOT is within what they tolerate; 0 when one alone is
        too slow. TPOT grows with the requests in flight, so bisection finds it."""
        target_s = load.tpot_ms / 1e3
        if limit <= 0 or self.step_s(load, 1) >= target_s:
            return 0.0
        if self.tpot_s(load, limit) <= target_s:
            return limit
        low, high = 0.0, limit
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.tpot_s(load, middle) <= target_s else (low, middle)
        return low

    def ttft_p95_s(self, load: Load, in_flight: float, slots: int) -> float:
        """95th percentile of the time to the first token with `in_flight` requests on average in `slots` slots.

        The step in progress, the wait for a slot (M/M/c), the wait behind other prompts (M/D/1, exponential tail of
        mean S/(2(1−ρ))) and the prompt's own prefill. Adding the two 95th percentiles errs on the slow side.
        """
        rate = self.requests_per_s(load, in_flight)
        work = self.prefill_work_s(load)
        slot = _tail_s(erlang_c(slots, in_flight), (slots / in_flight - 1) * rate)
        prompts = rate * work  # below 1: it is the part of TPOT that is not the step
        prompt = _tail_s(prompts, 2 * (1 - prompts) / work)
        return self.step_s(load, in_flight) + slot + prompt + self.prefill_s(load)


def _tail_s(waiting: float, rate_per_s: float) -> float:
    """The time t with P(W > t) = WAIT_QUANTILE where P(W > t) = waiting · exp(−rate·t)."""
    return max(0.0, math.log(waiting / WAIT_QUANTILE) / rate_per_s) if waiting > 0 else 0.0


def erlang_c(servers: int, offered: float) -> float:
    """Probability that an arrival waits in M/M/c with `offered` erlangs < servers (A. K. Erlang, 1917)."""
    blocked = 1.0  # Erlang B by recursion over the number of servers
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return servers * blocked / (servers - offered * (1 - blocked))


def slots_for(in_flight: float) -> int:
    """Slots for a Poisson number of requests in flight: the mean, two standard deviations, and one."""
    return math.ceil(in_flight + 2 * math.sqrt(in_flight) - 1e-9) + 1  # a mean of in_flight_for(c) needs c, not c + 1


def in_flight_for(slots: int) -> float:
    """The largest mean of requests in flight for which `slots` are enough; 0 below two slots."""
    return (math.sqrt(slots) - 1) ** 2 if slots >= 2 else 0.0
