"""The guest's agent: runs the commands that arrive as JSON lines on a virtio-serial port.

Requests:  {"id", "op": "run", "shell", "env"}  {"id", "op": "signal", "signal"}  {"id", "op": "write", "path", "data"}
           {"id", "op": "read", "path"}  {"id", "op": "texts", "pattern"}: of all files that match, JSON on "stdout"
           {"id", "op": "enter", "folder"}: that is /results from now on
           {"id", "op": "ask", "socket", "path"}: HTTP's GET, the answer's body comes on "stdout"
           {"id", "op": "survey"}  {"id", "op": "clean", "was"}: answer with JSON on "stdout", see survey.py
What the agent does itself spares the start of a program, which takes long on an emulated CPU.
Answers:   {"id", "pid"}  {"id", "stream": "stdout"|"stderr", "data"}  {"id", "exit"}  {"id", "error"}
Data is base64. Each command is the leader of a process group of its own; a signal goes to the whole group.
An exit value below zero is the signal that ended the command.
"""

import base64
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.append(os.path.dirname(os.path.abspath(__file__)))
import survey  # noqa: E402

PORT_NAME = "lab.agent"
RESULTS = "/results"
ASK_LIMIT_S = 60
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
}


class Agent:
    def __init__(self, port: int):
        self.port = port
        self.sending = threading.Lock()
        self.groups: dict[int, int] = {}

    def serve(self) -> None:
        self.send({"hello": os.uname().release})
        waiting = b""
        while True:
            data = os.read(self.port, 65536)
            if not data:  # nobody holds the other end now
                time.sleep(0.1)
            waiting += data
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                self.handle(json.loads(line))

    def handle(self, request: dict) -> None:
        try:
            getattr(self, "do_" + request["op"])(request)
        except OSError as error:
            self.send({"id": request["id"], "error": str(error)})

    def do_run(self, request: dict) -> None:
        process = subprocess.Popen(
            ["/bin/bash", "-c", request["shell"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **request.get("env", {})},
            cwd="/",
            start_new_session=True,
        )
        self.groups[request["id"]] = process.pid
        self.send({"id": request["id"], "pid": process.pid})
        threading.Thread(target=self.follow, args=(request["id"], process), daemon=True).start()

    def do_signal(self, request: dict) -> None:
        group = self.groups.get(request["id"])
        if group is not None:
            os.killpg(group, request["signal"])

    def do_write(self, request: dict) -> None:
        os.makedirs(os.path.dirname(request["path"]), exist_ok=True)
        with open(request["path"], "wb") as file:
            file.write(base64.b64decode(request["data"]))
        self.send({"id": request["id"], "exit": 0})

    def do_read(self, request: dict) -> None:
        with open(request["path"], "rb") as file:
            self.tell(request["id"], file.read())

    def do_texts(self, request: dict) -> None:
        found = {}
        for path in glob.glob(request["pattern"]):
            try:
                with open(path) as file:
                    found[path] = file.read().strip()
            except OSError:  # gone meanwhile
                pass
        self.tell(request["id"], json.dumps(found).encode())

    def do_enter(self, request: dict) -> None:
        if os.path.lexists(RESULTS):
            os.unlink(RESULTS)
        os.symlink(request["folder"], RESULTS)
        self.send({"id": request["id"], "exit": 0})

    def do_ask(self, request: dict) -> None:
        self.find(request["id"], lambda: get(request["socket"], request["path"]))

    def do_survey(self, request: dict) -> None:
        self.find(request["id"], lambda: json.dumps(survey.survey()).encode())

    def do_clean(self, request: dict) -> None:
        self.find(request["id"], lambda: json.dumps(survey.clean(request["was"])).encode())

    def find(self, request_id: int, look) -> None:
        """Tell what a function finds. It may take its time, so it has a thread of its own."""

        def run() -> None:
            try:
                self.tell(request_id, look())
            except Exception:
                self.send({"id": request_id, "error": traceback.format_exc()})

        threading.Thread(target=run, daemon=True).start()

    def tell(self, request_id: int, found: bytes) -> None:
        self.send({"id": request_id, "stream": "stdout", "data": base64.b64encode(found).decode()})
        self.send({"id": request_id, "exit": 0})

    def follow(self, request_id: int, process: subprocess.Popen) -> None:
        """Forward both streams and the exit. A child left in the background may hold them open: the exit does not wait for that."""
        pumps = [
            threading.Thread(target=self.pump, args=(request_id, name, pipe), daemon=True)
            for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr))
        ]
        for pump in pumps:
            pump.start()
        status = process.wait()
        for pump in pumps:
            pump.join(timeout=1)
        self.groups.pop(request_id, None)
        self.send({"id": request_id, "exit": status})

    def pump(self, request_id: int, name: str, pipe) -> None:
        while data := os.read(pipe.fileno(), 32768):
            self.send({"id": request_id, "stream": name, "data": base64.b64encode(data).decode()})

    def send(self, message: dict) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self.sending:
            while data:
                data = data[os.write(self.port, data) :]


def get(path: str, target: str) -> bytes:
    """The body of the answer to HTTP's GET on a UNIX socket; an exception unless it is 200."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ASK_LIMIT_S)
        connection.connect(path)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"]:
        raise OSError(f"GET {target} on {path}: {answer[:500]!r}")
    return body


def open_port() -> int:
    """The port is found by its name: there is no udev here to make links."""
    for path in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(path) as file:
            if file.read().strip() == PORT_NAME:
                return os.open("/dev/" + path.split("/")[4], os.O_RDWR)
    raise SystemExit(f"lab: agent: no virtio-serial port is named {PORT_NAME}")


def main() -> None:
    Agent(open_port()).serve()


if __name__ == "__main__":
    main()
