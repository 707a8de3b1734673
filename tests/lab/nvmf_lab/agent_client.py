"""The runner's end of a guest's agent (inside/agent.py): many commands at once over one connection, everything logged."""

import base64
import json
import pathlib
import socket
import threading
import time
from signal import SIGTERM

from .errors import CaseFailed, LabError


class Command:
    """A command that runs, or ran, in a guest."""

    def __init__(self, client: "AgentClient", number: int, name: str):
        self.client, self.number, self.name = client, number, name
        self.pid: int | None = None
        self.exit_code: int | None = None
        """None while it runs; below zero: the signal that ended it."""
        self.error: str | None = None
        self._streams = {"stdout": bytearray(), "stderr": bytearray()}
        self._changed = client.changed

    @property
    def stdout(self) -> str:
        return self._streams["stdout"].decode(errors="replace")

    @property
    def stderr(self) -> str:
        return self._streams["stderr"].decode(errors="replace")

    @property
    def ended(self) -> bool:
        return self.exit_code is not None or self.error is not None

    def wait(self, timeout_s: float) -> bool:
        """True when it ended within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended, timeout_s)
        return self.ended

    def wait_for_pid(self, timeout_s: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self.pid is not None or self.error is not None, timeout_s)
        if self.pid is None:
            raise CaseFailed(f"{self.client.guest} did not start {self.name!r}: {self.error or 'its agent does not answer'}")
        return self.pid

    def signal(self, number: int = SIGTERM) -> None:
        """Send a signal to the command's whole process group."""
        self.client.send({"id": self.number, "op": "signal", "signal": int(number)})

    def absorb(self, message: dict) -> None:
        """Take one answer of the agent. Runs in the client's reading thread."""
        self.pid = message.get("pid", self.pid)
        self.error = message.get("error", self.error)
        if "data" in message:
            self._streams[message["stream"]] += base64.b64decode(message["data"])
        self.exit_code = message.get("exit", self.exit_code)


class AgentClient:
    """One connection to one guest. Any thread may start commands."""

    def __init__(self, connection: socket.socket, guest: str, log: pathlib.Path):
        self.guest = guest
        self.changed = threading.Condition()
        self.gone: str | None = None
        """Why the connection ended, once it has."""
        self.hello: dict | None = None
        self._connection = connection
        self._sending = threading.Lock()
        self._commands: dict[int, Command] = {}
        self._numbers = iter(range(1, 1 << 62))
        self._log = AgentLog(log)
        threading.Thread(target=self._read, name=f"agent of {guest}", daemon=True).start()

    def wait_for_hello(self, timeout_s: float) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: self.hello is not None or self.gone is not None, timeout_s)
        return self.hello is not None

    def wait_until_gone(self, timeout_s: float) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.gone is not None, timeout_s)

    def start(self, shell: str, env: dict[str, str] | None = None) -> Command:
        return self._request({"op": "run", "shell": shell, "env": env or {}}, shell)

    def write(self, path: str, data: bytes) -> Command:
        return self._request({"op": "write", "path": path, "data": base64.b64encode(data).decode()}, f"write {path}")

    def ask(self, op: str, name: str = "", **fields) -> Command:
        """What the agent does itself; see inside/agent.py. `name` is for the log."""
        return self._request({"op": op, **fields}, f"({op}) {name}")

    def log_to(self, path: pathlib.Path) -> None:
        """Go on logging to another file."""
        self._log.go_on(path)

    def send(self, message: dict) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._sending:
            try:
                self._connection.sendall(data)
            except OSError as error:
                raise CaseFailed(f"{self.guest} is gone: {error}") from None

    def close(self) -> None:
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._connection.close()

    def _request(self, message: dict, name: str) -> Command:
        if self.gone:
            raise CaseFailed(f"{self.guest} is gone: {self.gone}")
        with self._sending:
            number = next(self._numbers)
        command = Command(self, number, name)
        self._commands[number] = command
        self._log.line(number, "$", name)
        self.send({"id": number, **message})
        return command

    def _read(self) -> None:
        waiting = b""
        try:
            while data := self._connection.recv(1 << 16):
                *lines, waiting = (waiting + data).split(b"\n")
                for line in lines:
                    self._handle(json.loads(line))
            self._end("QEMU closed the connection")
        except (OSError, ValueError) as error:
            self._end(str(error))

    def _handle(self, message: dict) -> None:
        with self.changed:
            if "hello" in message:
                self.hello = message
            elif message["id"] in self._commands:
                self._commands[message["id"]].absorb(message)
                self._log.message(message)
            self.changed.notify_all()

    def _end(self, reason: str) -> None:
        with self.changed:
            self.gone = reason
            for command in self._commands.values():
                if not command.ended:
                    command.error = f"the guest is gone ({reason})"
            self.changed.notify_all()
        self._log.line(0, "#", reason)


class AgentLog:
    """What ran in a guest and what it said, line by line, with the seconds since the guest was started."""

    def __init__(self, path: pathlib.Path):
        self._file = open(path, "a", buffering=1, errors="replace")
        self._begin = time.monotonic()
        self._partial: dict[tuple[int, str], str] = {}

    def go_on(self, path: pathlib.Path) -> None:
        """What comes from now on, in another file."""
        was, self._file = self._file, open(path, "a", buffering=1, errors="replace")
        was.close()

    def message(self, message: dict) -> None:
        number = message["id"]
        if "data" in message:
            self._text(number, message["stream"], base64.b64decode(message["data"]).decode(errors="replace"))
        elif "exit" in message or "error" in message:
            self._flush(number)
            self.line(number, "=", f"exit {message['exit']}" if "exit" in message else f"error: {message['error']}")

    def line(self, number: int, mark: str, text: str) -> None:
        for part in text.splitlines() or [""]:
            self._file.write(f"{time.monotonic() - self._begin:9.3f} [{number}] {mark} {part}\n")

    def _text(self, number: int, stream: str, text: str) -> None:
        *lines, rest = (self._partial.get((number, stream), "") + text).split("\n")
        self._partial[number, stream] = rest
        for line in lines:
            self.line(number, _MARK[stream], line)

    def _flush(self, number: int) -> None:
        for stream, mark in _MARK.items():
            if rest := self._partial.pop((number, stream), ""):
                self.line(number, mark, rest)


_MARK = {"stdout": ">", "stderr": "!"}


def check_hello(client: AgentClient, timeout_s: float, console: pathlib.Path) -> None:
    """LabError with the end of the console when the guest's agent does not report in time."""
    if not client.wait_for_hello(timeout_s):
        reason = client.gone or f"its agent said nothing within {timeout_s:.0f} s"
        tail = "\n    ".join(console.read_text(errors="replace").splitlines()[-8:]) if console.exists() else ""
        raise LabError(f"{client.guest} did not boot: {reason}. The console {console} ends with\n    {tail}")
