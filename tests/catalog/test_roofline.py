"""Roofline values worked out by hand on a model and a GPU with round figures."""

import math

import pytest

from placement.catalog.roofline import Efficiency, Gpu, Load, Model, Replica, erlang_c, in_flight_for, slots_for

GPU = Gpu("g", 100.0, {"bf16": 100.0, "fp8": 200.0}, 1.0, 50.0, 10.0, "made up")
EFFICIENCY = Efficiency(compute=0.5, memory=0.8, request_ms=1.0, experts=0.5)
# one layer's all-reduce carries hidden = 1000 values; embedding and head 10^7 weights each
DENSE = Model("d", "chat", 10, 1000, 10, 100, 10_000, False, 1.02e9, 1.02e9, 0, 0, 20_000, "made up")
# 4 experts of 10^9 weights, one of them active
ROUTED = Model("r", "chat", 10, 1000, 10, 100, 10_000, False, 4.02e9, 1.02e9, 4, 1, 20_000, "made up")
LOAD = Load(tokens_in=1000, tokens_out=100, tpot_ms=7.255)


def replica(model: Model = DENSE, gpus: float = 1.0, precision: str = "bf16") -> Replica:
    return Replica(model, GPU, gpus, precision, EFFICIENCY)


def test_prefill_is_two_operations_a_weight_plus_causal_attention_at_half_the_peak() -> None:
    # (2·1.01e9·1000 + 2·10·10·100·1000²) / 50e12 = 0.0408 s, and 1 ms for the request
    assert replica().prefill_s(LOAD) == pytest.approx(0.0418)


def test_a_short_prompt_still_costs_one_pass_over_the_weights() -> None:
    # 2.04 GB at 0.8 TB/s = 2.55 ms; its arithmetic takes 0.04 ms
    assert replica().prefill_s(Load(1, 100)) == pytest.approx(2.55e-3)


def test_decode_reads_the_weights_and_every_cache_once_a_step() -> None:
    # 2.04 GB + 10·1050·40 kB = 2.46 GB at 0.8 TB/s
    assert replica().step_s(LOAD, 10) == pytest.approx(3.075e-3)


def test_time_per_token_carries_the_prefills_of_the_others() -> None:
    # 3.075 ms + 10·41.8 ms/100
    assert replica().tpot_s(LOAD, 10) == pytest.approx(7.255e-3)
    assert replica().requests_per_s(LOAD, 10) == pytest.approx(10 / (100 * 7.255e-3))


def test_a_ring_of_two_moves_the_buffer_once_and_pays_its_latency() -> None:
    # per all-reduce 1000·1000·2 B / 50 GB/s = 40 µs, and 10 µs; two for each of 10 layers
    assert replica(gpus=2).allreduce_s(1000) == pytest.approx(1e-3)
    assert replica(gpus=1).allreduce_s(1000) == 0


def test_a_ring_of_four_moves_half_as_much_again_and_takes_six_hops() -> None:
    # 2·3/4·2 MB / 50 GB/s = 60 µs, 3·10 µs
    assert replica(gpus=4).allreduce_s(1000) == pytest.approx(20 * 90e-6)


def test_a_mig_quarter_has_a_quarter_of_arithmetic_bandwidth_and_memory() -> None:
    whole, quarter = replica(), replica(gpus=0.25)
    assert quarter.step_s(LOAD, 10) == pytest.approx(4 * 3.075e-3)
    assert quarter.prefill_s(LOAD) == pytest.approx(4 * 0.0408 + 1e-3)
    assert quarter.usable_gb == pytest.approx(whole.usable_gb / 4)


def test_only_experts_that_some_token_is_routed_to_are_read() -> None:
    # one request touches 1 of 4 experts: 1.02e9 weights; 0.8 TB/s at half for routing = 0.4 TB/s; cache 42 MB
    assert replica(ROUTED).step_s(LOAD, 1) == pytest.approx((2.04e9 + 0.042e9) / 0.4e12)
    # two touch 4·(1 − 0.75²) = 1.75 experts on average: 1.77e9 weights
    assert replica(ROUTED).step_s(LOAD, 2) == pytest.approx((3.54e9 + 0.084e9) / 0.4e12)


def test_weights_keep_embeddings_in_bf16_and_fp8_halves_the_rest() -> None:
    # 1e9 weights of one byte and 2e7 of two
    assert replica(precision="fp8").weights_gb == pytest.approx(1.04)


def test_slots_are_what_memory_holds_beside_the_weights() -> None:
    # 100 GiB = 107.3741824 GB, nine tenths of it 96.6368; less 2.04; 44 MB a request
    assert replica().slots_in_memory(LOAD) == math.floor((96.63676416 - 2.04) / 0.044) == 2149


def test_a_model_larger_than_the_memory_has_no_slots() -> None:
    assert replica(ROUTED, gpus=0.0625).slots_in_memory(LOAD) == 0


def test_requests_in_flight_stop_where_the_target_time_per_token_is_reached() -> None:
    assert replica().in_flight_within_tpot(LOAD, 1000) == pytest.approx(10)
    assert replica().in_flight_within_tpot(LOAD, 4) == 4


def test_a_replica_too_slow_for_one_request_serves_none() -> None:
    assert replica().in_flight_within_tpot(Load(1000, 100, tpot_ms=2.5), 1000) == 0


@pytest.mark.parametrize(("servers", "offered", "waits"), [(1, 0.5, 1 / 2), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9)])
def test_erlang_c_gives_the_textbook_values(servers: int, offered: float, waits: float) -> None:
    assert erlang_c(servers, offered) == pytest.approx(waits)


def test_time_to_first_token_adds_step_slot_prompts_and_prefill() -> None:
    # one in flight in two slots: TPOT 2.6025 + 0.418 ms, rate 3.31071 a second, Erlang C 1/3
    # slot ln(20/3)/3.31071 = 0.57302 s; prompts busy 0.138388: ln(2.76775)·0.0418/(2·0.861612) = 0.024694 s
    assert replica().ttft_p95_s(LOAD, 1, 2) == pytest.approx(0.0026025 + 0.57302 + 0.024694 + 0.0418, rel=1e-4)


def test_slots_hold_the_mean_two_deviations_and_one() -> None:
    assert slots_for(9) == 16
    assert in_flight_for(16) == 9
    assert in_flight_for(1) == 0
    assert [slots_for(in_flight_for(slots)) for slots in range(2, 2049)] == list(range(2, 2049))
