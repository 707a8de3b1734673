"""The way into a lab that is up: a UNIX socket on which tests/lab/guest asks for commands in a guest.

A request is one JSON line: {"guest", "shell"}, {"guest", "qmp", "arguments"}, {"stop"}, {"guests"}. The answers are JSON lines:
{"stream", "data"} as it comes, then {"exit"}; or {"value"}; or {"error"}.
"""

import json
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from .errors import CaseFailed, LabError

if TYPE_CHECKING:
    from .lab import Lab

POLL_S = 0.05


class ControlServer:
    def __init__(self, lab: "Lab", stop_asked: threading.Event):
        self._lab, self._stop_asked = lab, stop_asked
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(lab.control_socket()))
        self._listener.listen()
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = json.loads(connection.makefile().readline())
                self._answer(connection, request)
            except (CaseFailed, LabError, KeyError, ValueError) as error:
                _send(connection, {"error": str(error)})
            except OSError:
                pass

    def _answer(self, connection: socket.socket, request: dict) -> None:
        if "stop" in request:
            self._stop_asked.set()
            _send(connection, {"value": None})
        elif "guests" in request:
            _send(connection, {"value": list(self._lab.guests)})
        elif "qmp" in request:
            _send(connection, {"value": self._guest(request).qmp(request["qmp"], **request.get("arguments", {}))})
        else:
            self._run(connection, self._guest(request).begin(request["shell"]))

    def _guest(self, request: dict):
        if request["guest"] not in self._lab.guests:
            raise LabError(f"this lab has no guest {request['guest']!r}, it has: {', '.join(self._lab.guests)}")
        return self._lab.guests[request["guest"]]

    def _run(self, connection: socket.socket, command) -> None:
        """Forward the output as it grows; a client that goes away takes its command with it."""
        sent = {"stdout": 0, "stderr": 0}
        try:
            ended = False
            while not ended:
                ended = command.wait(POLL_S)
                for stream in sent:
                    text = getattr(command, stream)
                    if len(text) > sent[stream]:
                        _send(connection, {"stream": stream, "data": text[sent[stream] :]})
                        sent[stream] = len(text)
                if not ended and _hung_up(connection):
                    raise BrokenPipeError
            _send(connection, {"error": command.error} if command.error else {"exit": command.exit_code})
        except OSError:
            command.signal(signal.SIGTERM)
            time.sleep(POLL_S)


def _hung_up(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False


def _send(connection: socket.socket, message: dict) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")
