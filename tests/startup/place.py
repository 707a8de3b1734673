"""Daemons on a machine without RNIC, for the tests beside this file: each takes the program's path as its first argument."""

import contextlib
import http.client
import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else "nvmf-p2p"
NQN = "nqn.2026-01.io.example:a"
WAIT_S = 60


class Place:
    """A directory with all that one daemon needs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.socket = self.folder / "run" / "admin.sock"
        self.config = {
            "admin": {"socket": str(self.socket)},
            "state_dir": str(self.folder / "state"),
            "ports": [{"id": 1, "address": "192.0.2.1"}],
            "subsystems": [{"nqn": NQN, "allow_any_host": True, "namespaces": [{"memory": "1MiB"}]}],
        }

        self.config_path = self.folder / "config.json"

    def command(self):
        self.config_path.write_text(json.dumps(self.config))
        return [PROGRAM, "run", "--config", str(self.config_path)]

    def failure(self):
        """The lines of a start that must fail."""
        done = subprocess.run(self.command(), capture_output=True, text=True, timeout=WAIT_S)
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert "terminate called" not in done.stderr, done.stderr
        return [line for line in done.stderr.splitlines() if " error: " in line]

    def ask(self, *words):
        return subprocess.run([PROGRAM, *words, "--socket", str(self.socket), "--json"], capture_output=True, text=True,
                              timeout=WAIT_S)

    def request(self, method, path, body=None):
        """The status of the admin API's answer."""
        client = http.client.HTTPConnection("localhost", timeout=WAIT_S)
        client.sock = socket.socket(socket.AF_UNIX)
        client.sock.connect(str(self.socket))
        with contextlib.closing(client):
            client.request(method, path, body=body)
            return client.getresponse().status

    def drop_in(self, name, subsystems, **more):
        """The path of a drop-in with these subsystems."""
        path = self.folder / "conf.d" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"subsystems": subsystems, **more}))
        return path

    def nqns(self):
        return sorted(one["nqn"] for one in json.loads(self.ask("subsystems").stdout))

    def has_started(self, namespaces):
        """Its namespaces are served, or known not to be."""
        answer = self.ask("status")
        if answer.returncode != 0:
            return False
        status = json.loads(answer.stdout)
        return status["namespaces"] + status["missing_namespaces"] == namespaces

    def answer_of_metrics(self, path):
        """The status and the body that the address of the metrics answers."""
        client = http.client.HTTPConnection(self.config["metrics"]["address"], self.config["metrics"]["port"], timeout=WAIT_S)
        with contextlib.closing(client):
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, answer.read().decode()

    def namespaces(self):
        return json.loads(self.ask("namespaces").stdout)


class Running:
    """A daemon that serves, until the end of the block. `program`: another than the one under test."""

    def __init__(self, place, program=PROGRAM, namespaces=1):
        self.place, self.namespaces = place, namespaces
        self.program = str(program)

    def __enter__(self):
        self.process = subprocess.Popen([self.program, *self.place.command()[1:]], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + WAIT_S
        while not self.place.has_started(self.namespaces):
            assert time.monotonic() < end and self.process.poll() is None, "the daemon does not answer"
            time.sleep(0.05)
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=WAIT_S)

    def __exit__(self, *_):
        self.stop()


class DaemonTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)

    def place(self, name="a"):
        return Place(pathlib.Path(self.scratch.name) / name)

    def check_one_line(self, lines, *words):
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])

    def status(self, place):
        return json.loads(place.ask("status").stdout)
