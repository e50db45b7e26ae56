"""Compiled programs: what they send and move, read from a text written by hand and from programs that XLA compiled."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ssl_jax.experiment import hlo
from ssl_jax.experiment.bytes_moved import bytes_moved
from ssl_jax.experiment.collectives import traffic
from ssl_jax.train.mesh import make_mesh

TEXT = """
HloModule jit_step

%body.1 (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %x = f32[8]{0} parameter(0)
  %all-reduce.2 = f32[8]{0} all-reduce(%x), channel_id=1, replica_groups=[2,4]<=[8], to_apply=%add
  %all-reduce.3 = f32[8]{0} all-reduce(%x), replica_groups=mesh['a'=4,'b'=2] {'b'}, to_apply=%add
}

%cond.1 (p: (s32[], f32[8])) -> pred[] {
  %five = s32[] constant(5)
  ROOT %lt = pred[] compare(%a, %five), direction=LT
}

%part (p0: f32[100,10], p1: s32[]) -> f32[1,10] {
  %p0 = f32[100,10]{1,0:T(8,128)} parameter(0)
  %p1 = s32[] parameter(1)
  %renamed = f32[100,10]{1,0} bitcast(%p0)
  ROOT %slice = f32[1,10]{1,0} dynamic-slice(%renamed, %p1), dynamic_slice_sizes={1,10}
}

%placed (p0: f32[100,10], p1: f32[1,10]) -> f32[100,10] {
  %p0 = f32[100,10]{1,0} parameter(0)
  %p1 = f32[1,10]{1,0} parameter(1)
  ROOT %new = f32[100,10]{1,0} dynamic-update-slice(%p0, %p1, %zero, %zero)
}

ENTRY %main.9 (a: f32[100,10]) -> f32[16] {
  %a = f32[100,10]{1,0:T(8,128)} parameter(0)
  %i = s32[] parameter(1)
  %while.3 = (s32[], f32[8]) while(%t), condition=%cond.1, body=%body.1, backend_config={LOOP}
  %ag = (f32[2]{0}, bf16[4,8]{1,0}) all-gather-start(%b), replica_groups={{0,1,2,3},{4,5,6,7}}, dimensions={0}
  %done = bf16[4,8]{1,0} all-gather-done(%ag)
  %permute = f32[3]{0} collective-permute(%x), source_target_pairs={{0,1}}
  %near = f32[100,10]{1,0:T(8,128)S(1)} copy(%a)
  %taken = f32[1,10]{1,0} fusion(%a, %i), kind=kLoop, calls=%part
  %put = f32[100,10]{1,0} fusion(%a, %taken), kind=kLoop, calls=%placed
}
"""
KNOWN = '{"known_trip_count":{"n":"5"}}'


@pytest.mark.parametrize("loop", [KNOWN, ""], ids=["known", "by its condition"])
def test_what_is_sent_by_hand(loop):
    found = traffic(hlo.read(TEXT.replace("{LOOP}", loop)), devices=8)
    assert found["all-reduce"].count == 10 and found["all-reduce"].size == 10 * 8 * 4
    assert found["all-reduce"].sent == pytest.approx(5 * 32 * 2 * (3 / 4 + 1 / 2))
    assert found["all-gather"].count == 1 and found["all-gather"].size == 64
    assert found["all-gather"].sent == pytest.approx(64 * 3 / 4)
    assert found["collective-permute"].sent == 12
    assert traffic(hlo.read(""), 8) == {}


ASYNC = """
%one (p: f32[4]) -> f32[8] {
  ROOT %ag.1 = f32[8]{0} all-gather(%p), channel_id=3, replica_groups={{0,1}}
}

%two (p: f32[4]) -> f32[8] {
  ROOT %ag.2 = f32[8]{0} all-gather(%p), channel_id=3, replica_groups={{0,1}}
}

%short (p: f32[4]) -> f32[4] {
  ROOT %same = f32[4]{0} copy(%p)
}

ENTRY %main (a: f32[4]) -> f32[8] {
  %a = f32[4]{0} parameter(0)
  %begin = f32[8]{0} async-collective-start(%a), calls=%one
  %end = f32[8]{0} async-collective-done(%begin), calls=%two
  %sum = f32[4]{0} all-reduce-start(%a), channel_id=4, replica_groups={{0,1}}
  %kept = f32[2]{0} fusion(%a), kind=kCustom, calls=%all-reduce-scatter.1
  %either = f32[4]{0} conditional(%p, %a, %a), branch_computations={%body, %short}
}

%all-reduce-scatter.1 (p: f32[4]) -> f32[2] {
  %whole = f32[4]{0} all-reduce(%p), channel_id=6, replica_groups={{0,1}}
  ROOT %share = f32[2]{0} dynamic-slice(%whole, %me), dynamic_slice_sizes={2}
}

%body (p: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %once = f32[4]{0} all-reduce(%x), channel_id=5, replica_groups={{0,1}}
  ROOT %twice = f32[4]{0} add(%once, %once)
}
"""


def test_a_collective_in_the_background_counts_once_and_the_longer_branch_not_at_all():
    program = hlo.read(ASYNC)
    found = traffic(program, devices=2)
    assert (found["all-gather"].count, found["all-gather"].size) == (1, 32)
    assert (found["all-reduce"].count, found["all-reduce"].sent) == (1, 16)
    scattered = found["reduce-scatter"]
    assert (scattered.count, scattered.size, scattered.sent) == (1, 8, 8)


def test_a_collective_that_is_written_down_in_a_loop_too_counts_as_often_as_that_turns():
    first = "  %first = f32[8]{0} all-reduce(%x), channel_id=1, replica_groups=[2,4]<=[8], to_apply=%add\n"
    text = TEXT.replace("{LOOP}", KNOWN).replace("  %while.3", first + "  %while.3")
    assert traffic(hlo.read(text), devices=8)["all-reduce"].count == 10


def test_what_is_moved_by_hand():
    """Slices count and not what they are taken from; what lies near counts where it is fetched from."""
    program = hlo.read(TEXT.replace("{LOOP}", KNOWN))
    lines = {each.name: each for each in program.computations["main.9"]}

    def alone(*names):
        main = {"main.9": [lines[name] for name in ("a", "i", *names)]}
        return hlo.Program(program.computations | main, "main.9")

    assert bytes_moved(alone("near")) == 4000
    assert bytes_moved(alone("taken")) == 40 + 40 + 4
    assert bytes_moved(alone("taken", "put")) == 84 + 40 + 40
    assert bytes_moved(alone("while.3")) == 5 * 2 * (32 + 32)


@pytest.mark.parametrize(
    "begun, moved",
    [
        ("(f32[9]{0}, f32[9]{0}, f32[9]{0}) all-reduce-start(%a, %a, %a), replica_groups={{0,1}}", 3 * 36 + 3 * 36),
        ("((f32[9]{0}, f32[9]{0}), (f32[18]{0}, f32[18]{0})) all-gather-start(%a, %a)", 2 * 36 + 2 * 72),
        ("(f32[9]{0}, f32[9]{0}, u32[], u32[]) collective-permute-start(%a)", 36 + 36),
        ("(f32[9]{0:S(1)}, f32[9]{0}, u32[]) copy-start(%a)", 36),
        ("((f32[9]{0}), f32[3]{0}, u32[]) slice-start(%a), slice={[0:3]}", 12 + 12),
        ("((f32[9]{0}, s32[]), f32[3]{0}, u32[]) dynamic-slice-start(%a, %i), dynamic_slice_sizes={3}", 12 + 12),
        ("((f32[9]{0}, f32[3]{0}, s32[]), f32[9]{0}) dynamic-update-slice-start(%a, %s, %i)", 12 + 12),
        ("((f32[9]{0}, f32[9]{0}, f32[9]{0}), f32[9]{0}, u32[]) fusion-start(%a, %a, %a), calls=%sum", 3 * 36 + 36),
        ("((f32[9]{0}), f32[9]{0}, u32[]) call-start(%a), to_apply=%twice", 4 * 36 + 2 * 36),
        ("((f32[9]{0}), f32[9]{0}, u32[]) async-start(%a), calls=%twice", 4 * 36 + 2 * 36),
        ("((f32[9]{0}, f32[800]{0}), (f32[2]{0}, f32[100]{0}), u32[]) reduce-scatter-start(%a, %l)", 3644),
    ],
)
def test_what_is_begun_and_awaited_later_moves_its_operands_and_results_once(begun, moved):
    """`%twice` adds twice, two operands and a result each; the reduce-scatter reads 809 numbers and gives 102."""
    kind = begun.split("(%")[0].split()[-1].removesuffix("-start")
    adding = "  %p = f32[9]{0} parameter(0)\n  %two = f32[9]{0} add(%p, %p)\n"
    called = f"%twice (p: f32[9]) -> f32[9] {{\n{adding}  ROOT %four = f32[9]{{0}} add(%two, %two)\n}}\n\n"
    called += "%sum (p: f32[9]) -> f32[9] {\n  ROOT %s = f32[9]{0} add(%p, %q)\n}\n\n"
    taken = {"a": "f32[9]{0}", "s": "f32[3]{0}", "i": "s32[]", "l": "f32[800]{0}"}
    main = "".join(f"  %{name} = {shape} parameter({n})\n" for n, (name, shape) in enumerate(taken.items()))
    main += f"  %b = {begun}\n  %c = f32[9]{{0}} {kind}-done(%b)\n"
    assert bytes_moved(hlo.read(f"{called}ENTRY %main (a: f32[9]) -> f32[9] {{\n{main}}}\n")) == moved


def test_a_mean_over_devices():
    """A mean over rows that are spread over eight devices: five numbers are summed, in a loop of three turns."""
    mesh = make_mesh()

    def step(x):
        turn = lambda carry, _: (carry + jnp.mean(x * carry.sum(), axis=0), None)
        return jax.lax.scan(turn, jnp.ones(5), None, length=3)[0]

    rows = jax.ShapeDtypeStruct((16, 5), jnp.float32, sharding=NamedSharding(mesh, P("data")))
    text = jax.jit(step, out_shardings=NamedSharding(mesh, P())).lower(rows).compile().as_text()
    found = traffic(hlo.read(text), devices=8)
    assert set(found) == {"all-reduce"}
    assert (found["all-reduce"].count, found["all-reduce"].size) == (3, 3 * 5 * 4)


def test_layers_in_a_loop_move_as_much_as_layers_in_a_row():
    """The weights alone are 16 x 4 MiB."""
    weights, rows = jax.ShapeDtypeStruct((16, 1024, 1024), jnp.float32), jax.ShapeDtypeStruct((8, 1024), jnp.float32)

    def moved(unroll):
        layers = lambda w, x: jax.lax.scan(lambda x, one: (jnp.tanh(x @ one), None), x, w, unroll=unroll)[0]
        compiled = jax.jit(layers).lower(weights, rows).compile()
        return bytes_moved(hlo.read(compiled.as_text())), compiled.cost_analysis()["bytes accessed"]

    (loop, once), (row, counted) = moved(1), moved(16)
    assert once < 16 * 2**22 <= loop, "XLA's own count has the body of the loop once"
    assert loop == pytest.approx(row, rel=0.05)
    assert row == pytest.approx(counted, rel=0.05)
