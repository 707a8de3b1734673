"""What callgrind has counted: the instructions of each function alone, without what it calls."""

import collections
import dataclasses
import pathlib
import re

_NAME = re.compile(r"\((\d+)\)(?: (.*))?$")  # a name is written once, and is a number from then on
_COST = tuple("0123456789+-*")  # how a line with a cost begins


@dataclasses.dataclass(frozen=True)
class Function:
    file: str
    name: str


def read_costs(path: pathlib.Path) -> collections.Counter:
    """By Function. What was inlined counts for the function that it was inlined in."""
    costs: collections.Counter = collections.Counter()
    files: dict[str, str] = {}
    names: dict[str, str] = {}
    file, function, of_a_call = "", None, False
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("fl="):
            file = _named(line[3:], files)
        elif line.startswith(("fi=", "fe=")):
            _named(line[3:], files)
        elif line.startswith(("cfi=", "cfl=")):
            _named(line[4:], files)
        elif line.startswith("fn="):
            function = Function(file, _named(line[3:], names))
        elif line.startswith("cfn="):
            _named(line[4:], names)
        elif line.startswith("calls="):
            of_a_call = True  # the next line has the cost of what is called
        elif function and line.startswith(_COST):
            if not of_a_call:
                costs[function] += int(line.split()[1])
            of_a_call = False
    return costs


def _named(text: str, known: dict[str, str]) -> str:
    found = _NAME.match(text)
    if not found:
        return text
    if found[2]:
        known[found[1]] = found[2]
    return known.get(found[1], "")
