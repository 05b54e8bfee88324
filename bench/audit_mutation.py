"""How many small faults in the auditor its tests let pass: mutation testing without a dependency.

    python -m bench.audit_mutation --sample 400 --seed 1

Every mutant changes one place of one module: a comparison flipped, an operator swapped, a constant moved by one, `and`
for `or`, a `not` doubled, a statement removed. Tests run in a forked child with the mutated module in place of the real
one, stop at the first failure and within a time limit. What survives is printed. Texts of messages are not mutated.
"""

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.machinery
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "placement" / "audit"
TESTS = (  # those that kill most for their time come first
    "valid", "cuts", "covers", "job_values", "cuts_apart", "rounding", "positions", "backups", "groups", "figures",
    "prices", "penalties", "reach", "intervals", "hosting", "limits", "residency", "site_value", "tolerances",
    "rules_demand", "rules_machines", "rules_figures", "rules_format", "files", "days", "economics", "moves",
    "failover", "whole_rules", "bound_rules", "certificate", "bound", "tampered",
)  # fmt: skip
LIMIT_S = 300

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
REMOVED = (ast.Expr, ast.AugAssign, ast.Continue, ast.Raise)

Change = Callable[[ast.AST], None]


@dataclass(frozen=True)
class Mutant:
    """One fault: where, and what it says."""

    module: str
    line: int
    what: str
    code: CodeType


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its text."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    lines = source.splitlines()
    skipped = _not_mutated(tree)
    for index, node in enumerate(ast.walk(tree)):
        if node in skipped:
            continue
        for what, change in _changes(node):
            changed = copy.deepcopy(tree)
            change(list(ast.walk(changed))[index])
            line = getattr(node, "lineno", 0)
            text = f"{what}: {lines[line - 1].strip()}"
            code = compile(ast.fix_missing_locations(changed), str(path), "exec")
            yield Mutant(f"placement.audit.{path.stem}", line, text, code)


def _not_mutated(tree: ast.AST) -> set[ast.AST]:
    """Types, texts of messages, and what only names or documents."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        annotation = getattr(node, "annotation", None), getattr(node, "returns", None)
        for part in (*annotation, node if isinstance(node, ast.JoinedStr | ast.ImportFrom | ast.Import) else None):
            if part is not None:
                found.update(ast.walk(part))
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.annotation, ast.Name)
            and node.annotation.id == "TypeAlias"
        ):
            found.update(ast.walk(node))
        if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: an assertion, never false
            found.update(ast.walk(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dataclass":
            found.update(ast.walk(node))
    return found


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                yield f"{type(op).__name__} to {other.__name__}", _set_comparison(k, other)
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        other_op = OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__} to {other_op.__name__}", _set("op", other_op())
    elif isinstance(node, ast.BoolOp):
        swapped = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{type(node.op).__name__} to {type(swapped).__name__}", _set("op", swapped)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not removed", _set("operand", ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} turned", _set("value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for step in (1, -1):
            yield f"{node.value} {step:+d}", _set("value", node.value + step)
    for field in ("body", "orelse"):
        block = getattr(node, field, None)
        for j, statement in enumerate(block if isinstance(block, list) else ()):
            docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if isinstance(statement, REMOVED) and not docstring:
                yield f"removed in line {statement.lineno}", _remove(field, j)


def _set(field: str, value: object) -> Change:
    return lambda node: setattr(node, field, value)


def _set_comparison(k: int, other: type[ast.cmpop]) -> Change:
    def change(node: ast.AST) -> None:
        assert isinstance(node, ast.Compare)
        node.ops[k] = other()

    return change


def _remove(field: str, j: int) -> Change:
    def change(node: ast.AST) -> None:
        getattr(node, field)[j] = ast.Pass()

    return change


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves the mutated code in place of one module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name == self.mutant.module else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.mutant.code, module.__dict__)


def run(mutant: Mutant | None) -> str:
    """`killed`, `timeout` or `survived`: how the tests end in a forked child; without a mutant whether they pass."""
    child = os.fork()
    if child == 0:
        os.setsid()
        _test(mutant)
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _test(mutant: Mutant | None) -> None:
    """In the child: put the mutant in place, run the tests, leave."""
    import pytest  # noqa: PLC0415

    if mutant is not None:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        sys.meta_path.insert(0, _Finder(mutant))
    files = [str(ROOT / "tests" / "audit" / f"test_audit_{name}.py") for name in TESTS]
    # hypothesis: slow, and random in what it kills
    unsuited = "not certificate_tampered_with and not any_array_changed and not damaged_archive"
    base = ROOT / "build" / "mutation" / str(os.getpid())
    base.parent.mkdir(parents=True, exist_ok=True)
    options = ["-x", "-q", "-p", "no:xdist", "--assert=plain", "-k", unsuited, "--basetemp", str(base)]
    code = 1
    try:
        code = int(pytest.main([*options, *files]))
    finally:
        sys.stdout.flush()
        _remove_tree(base)
        os._exit(code)


def _remove_tree(folder: Path) -> None:
    import shutil  # noqa: PLC0415

    shutil.rmtree(folder, ignore_errors=True)


def warm() -> None:
    """Import what the tests need, but no module of the auditor, and solve the random worlds once for all children."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "audit")]
    for name in ("pytest", "hypothesis", "pyarrow.parquet", "scipy.optimize", "placement.scenario", "audit_world"):
        importlib.import_module(name)
    oracle = importlib.import_module("audit_oracle")
    for seed in oracle.SEEDS:
        oracle.optimum(seed)
        oracle.expected_bound(seed)
    loaded = [name for name in sys.modules if name.startswith("placement.audit")]
    if loaded:
        raise RuntimeError(f"the auditor is loaded already: {loaded}")


def main(argv: list[str] | None = None) -> None:
    """Run a sample of all mutants and print the survivors and their share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200, help="how many mutants; 0 is all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modules", nargs="*", help="stems of modules; all when left out")
    told = parser.parse_args(argv)
    paths = [p for p in sorted(PACKAGE.glob("*.py")) if p.stem != "__init__" and p.stem in (told.modules or [p.stem])]
    found = [mutant for path in paths for mutant in mutants(path)]
    chosen = found
    if 0 < told.sample < len(found):
        chosen = random.Random(told.seed).sample(found, told.sample)
    start = time.monotonic()
    warm()
    if run(None) != "survived":
        sys.exit("the tests fail without any mutant")
    ends = {"killed": 0, "timeout": 0, "survived": 0}
    for j, mutant in enumerate(chosen):
        if j % 50 == 0:
            print(f"{j} of {len(chosen)}", file=sys.stderr, flush=True)
        end = run(mutant)
        ends[end] += 1
        if end != "killed":
            print(f"{end}: {mutant.module}:{mutant.line}: {mutant.what}", flush=True)
    share = ends["survived"] / max(len(chosen), 1)
    print(f"{len(chosen)} of {len(found)} mutants (seed {told.seed}): {ends}, {share:.1%} survived")
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
