"""tests/lab/guest: a command in a guest of a lab that is up (tests/lab/run --shell, --keep, or a case that is running)."""

import argparse
import json
import pathlib
import shlex
import socket
import sys

from .errors import LabError
from .qemu import REPOSITORY

DESCRIPTION = """\
Run a command in a guest of a lab that is up: one started with tests/lab/run --shell, one kept with --keep, or a case that
is running just now. Output and exit code are those of the command. Ctrl-C ends the command in the guest too."""

EXAMPLES = """\
examples:
  tests/lab/guest target 'rdma link; nvme list'
  tests/lab/guest host nvme discover -t rdma -a 10.77.0.1 -s 4420
  tests/lab/guest --qmp target device_del '{"id": "ssd0"}'
  tests/lab/guest --stop"""


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 125
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    lab = _find_lab(pathlib.Path(options.out), options.lab)
    if options.stop:
        return _ask(lab, {"stop": True})
    if not options.guest:
        return _ask(lab, {"guests": True})
    if options.qmp:
        return _ask(lab, {"guest": options.guest, "qmp": options.command[0], "arguments": json.loads(" ".join(options.command[1:]) or "{}")})
    if not options.command:
        return _prompt(lab, options.guest)
    # One word is a shell command line as it stands; several are the words of one command.
    shell = options.command[0] if len(options.command) == 1 else shlex.join(options.command)
    return _ask(lab, {"guest": options.guest, "shell": shell})


def _find_lab(out: pathlib.Path, name: str | None) -> str:
    """The control socket of the lab that is up; LabError when there is none, or more than one to choose from."""
    found = {path.parent.name: json.loads(path.read_text())["control"] for path in out.glob("*/lab.json")}
    alive = {lab: control for lab, control in found.items() if _answers(control) and name in (None, lab)}
    if not alive:
        raise LabError(f"no lab{' called ' + name if name else ''} is up below {out}: start one with tests/lab/run --shell two")
    if len(set(alive.values())) > 1:
        raise LabError(f"more than one lab is up, choose with --lab: {', '.join(sorted(alive))}")
    return next(iter(alive.values()))


def _answers(control: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(control)
            return True
    except OSError:
        return False


def _ask(control: str, request: dict) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(control)
        connection.sendall(json.dumps(request).encode() + b"\n")
        for line in connection.makefile():
            message = json.loads(line)
            if "data" in message:
                stream = getattr(sys, message["stream"])
                stream.write(message["data"])
                stream.flush()
            elif "exit" in message:
                return message["exit"] if message["exit"] >= 0 else 128 - message["exit"]
            elif "error" in message:
                raise LabError(message["error"])
            elif message["value"] is not None:
                print(json.dumps(message["value"], indent=2))
                return 0
    return 0


def _prompt(control: str, guest: str) -> int:
    """A line at a time, each in a shell of its own."""
    while True:
        try:
            line = input(f"{guest}# ")
        except EOFError:
            return 0
        if line.strip():
            code = _ask(control, {"guest": guest, "shell": line})
            if code:
                print(f"(exit code {code})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/lab/guest", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", metavar="DIR", default=str(REPOSITORY / "build/lab"), help="where the run keeps its logs (default: build/lab)")
    parser.add_argument("--lab", metavar="NAME", help="which lab, when more than one is up: the name of the case, or of the --shell topology")
    parser.add_argument("--stop", action="store_true", help="take the lab down")
    parser.add_argument("--qmp", action="store_true", help="the command is one of QEMU's machine protocol, with its arguments as JSON")
    parser.add_argument("guest", nargs="?", help="target or host; without one, the guests' names are shown")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a shell command line; without one, a prompt")
    return parser
