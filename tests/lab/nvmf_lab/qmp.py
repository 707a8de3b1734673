"""QEMU's machine protocol (QMP) over a UNIX socket: the way to pull an SSD, take a link down, or ask what a guest is doing."""

import json
import socket
import threading

from .errors import CaseFailed


class Qmp:
    """Commands are one at a time; events that arrive in between are kept in `events`."""

    def __init__(self, connection: socket.socket, guest: str):
        self._guest = guest
        self._lines = connection.makefile("rw", encoding="utf-8")
        self._busy = threading.Lock()
        self.events: list[dict] = []
        self._lines.readline()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, /, **arguments):
        """Run a command and return its value."""
        with self._busy:
            self._lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            self._lines.flush()
            return self._answer(name)

    def _answer(self, name: str):
        while line := self._lines.readline():
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise CaseFailed(f"QMP {name} on {self._guest}: {message['error']['desc']}")
            else:
                return message["return"]
        raise CaseFailed(f"QMP {name} on {self._guest}: QEMU closed the connection, the guest is gone")
