"""A case: a Python file that declares a TOPOLOGY and says in test(lab) what target and host do."""

import ast
import dataclasses
import fnmatch
import functools
import importlib.util
import pathlib
import traceback
from typing import Callable

from . import kernel, layer
from .errors import LabError
from .topology import ONE, TWO, Topology
from .userland import Userland

CASES = pathlib.Path(__file__).resolve().parent.parent / "cases"
DEFAULT_LIMIT_S = 120
SHELLS = {
    "one": ONE,
    "two": TWO,
}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    path: pathlib.Path

    def summary(self) -> str:
        """The first line of its docstring, read without running it."""
        text = ast.get_docstring(ast.parse(self.path.read_text())) or ""
        return text.splitlines()[0] if text else "(has no docstring)"

    def limit_s(self, thorough: bool) -> float:
        """Its TIME_LIMIT_S, of a quiet machine; or, where it has one, its THOROUGH_LIMIT_S."""
        usual = self._declared("TIME_LIMIT_S", DEFAULT_LIMIT_S)
        return float(self._declared("THOROUGH_LIMIT_S", usual) if thorough else usual)

    def alone(self) -> bool:
        """Its ALONE: what it measures or watches would be another case's doing beside one."""
        return bool(self._declared("ALONE", False))

    def thorough(self) -> bool:
        """Its THOROUGH: it takes so long that only --thorough, or its name, has it run."""
        return bool(self._declared("THOROUGH", False))

    def topology(self) -> str:
        """Its TOPOLOGY as it is written, read without running the case: which cases may have the same guests. The worker compares what it means."""
        for node in ast.parse(self.path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "TOPOLOGY":
                return ast.unparse(node.value)
        return self.name

    def _declared(self, name: str, default):
        """A constant, read without running the case, for the runner must know it beforehand."""
        for node in ast.parse(self.path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
                return ast.literal_eval(node.value)
        return default

    def load(self) -> tuple[Topology, Callable]:
        spec = importlib.util.spec_from_file_location(f"case_{self.name}", self.path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name in ("TOPOLOGY", "test"):
            if not hasattr(module, name):
                raise LabError(f"{self.path} has no {name}: a case declares TOPOLOGY = One(...) or Two(...) and def test(lab)")
        return module.TOPOLOGY, module.test

    def fetches(self) -> list[Callable]:
        """What brings the kernels and programs that only this case needs."""
        topology, test = self.load()
        kernels = {machine.kernel for machine in topology.machines().values() if machine.kernel}
        userlands = [one for one in test.__globals__.values() if isinstance(one, Userland)]
        layers = {machine.packages for machine in topology.machines().values() if machine.packages}
        return [
            *(functools.partial(kernel.get, name) for name in kernels),
            *(functools.partial(layer.get, packages) for packages in layers),
            *(one.fetch for one in userlands),
        ]

    def where(self, error: BaseException) -> str:
        """The innermost line of the case that an exception came through."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(self.path)]
        return f"{self.path.parent.name}/{self.path.name}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""


def all_cases() -> list[Case]:
    return [Case(path.stem, path) for path in sorted(CASES.glob("*.py"))]


def select(patterns: list[str]) -> list[Case]:
    """The cases of that name, pattern (lab_*) or path; all without one."""
    known = all_cases()
    if not patterns:
        return known
    chosen: list[Case] = []
    for pattern in patterns:
        found = [case for case in known if fnmatch.fnmatch(case.name, pattern)]
        if not found and pattern.endswith(".py") and pathlib.Path(pattern).is_file():
            path = pathlib.Path(pattern).resolve()
            found = [Case(path.stem, path)]
        if not found:
            raise LabError(f"no case is called {pattern!r}; tests/lab/run --list shows them all")
        chosen += [case for case in found if case not in chosen]
    return chosen


def shell_topology(name: str) -> Topology:
    """The topology for --shell: `one`, `two`, or that of a case."""
    return SHELLS[name] if name in SHELLS else select([name])[0].load()[0]
