#!/usr/bin/env python3
"""What the shells complete that the running daemon knows: completion_test.py PROGRAM."""

import os
import pathlib
import pty
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
PROGRAM = os.path.abspath(sys.argv[1])
from place import Place, Running, WAIT_S  # noqa: E402, takes PROGRAM off the arguments

NQN = "nqn.2026-01.io.example:a"
OTHER = "nqn.2026-01.io.example:b/tape"
HOST = "nqn.2014-08.org.nvmexpress:uuid:3c1e2f4a-0000-4000-8000-000000000001"
TRAP = "nqn.2026-01.io.example:$(touch trap)"  # a name that a shell must not run
# Each command line as far as it is typed, and what it becomes.
COMPLETED = [
    (("remove", "namespace", "nq"), ("remove", "namespace", "nqn.2026-01.io.example:")),
    (("remove", "namespace", "nqn.2026-01.io.example:b"), ("remove", "namespace", OTHER)),
    (("remove", "namespace", NQN, "4"), ("remove", "namespace", NQN, "42")),
    (("set", "port", "1"), ("set", "port", "17")),
    (("drain", "1"), ("drain", "17")),
    (("remove", "host", NQN, "nqn.2014"), ("remove", "host", NQN, HOST)),
    (("add", "host", OTHER, "nqn.2014"), ("add", "host", OTHER, HOST)),
    (("reservations", "clear", "nqn.2026-01.io.example:b"), ("reservations", "clear", OTHER)),
    (("remove", "host", NQN, "nqn.2026"), ("remove", "host", NQN, "nqn.2026")),
]


def served_place(folder):
    place = Place(folder)
    place.config["ports"] = [{"id": 17, "address": "192.0.2.1"}]
    place.config["subsystems"] = [
        {"nqn": NQN, "allowed_hosts": [HOST, TRAP], "namespaces": [{"nsid": 42, "memory": "1MiB"}]},
        {"nqn": OTHER, "allow_any_host": True, "namespaces": [{"memory": "1MiB"}]},
    ]
    return place


def with_socket(words, path):
    """Before the last word, where every command takes it."""
    return [*words[:-1], "--socket", str(path), words[-1]]


class Bash:
    """A bash with the completion, at a terminal. Where a command is given, the program's arguments are written down instead."""

    def __init__(self, folder):
        self.folder = folder
        self.given = folder / "given"
        (folder / "bin").mkdir()
        (folder / "bin" / "nvmf-p2p").symlink_to(PROGRAM)
        script = subprocess.run([PROGRAM, "generate", "bash"], capture_output=True, text=True, check=True).stdout
        (folder / "rc").write_text(f"""{script}
nvmf-p2p() {{
  if [[ $1 == complete ]]; then command nvmf-p2p "$@"; else printf '%s\\n' "$@" >'{self.given}.new'; mv '{self.given}.new' '{self.given}'; fi
}}
""")

    def __enter__(self):
        self.said = b""
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(self.folder)
            os.environ.update(PATH=f"{self.folder}/bin:{os.environ['PATH']}", TERM="dumb", HOME=str(self.folder), INPUTRC="/dev/null")
            os.execvp("bash", ["bash", "--noprofile", "--rcfile", str(self.folder / "rc"), "-i"])
        return self

    def __exit__(self, *_):
        os.close(self.terminal)  # hangs it up
        os.waitpid(self.process, 0)

    def gives(self, words):
        """The arguments of the command that is given by these words, with a tab behind the last one."""
        self.given.unlink(missing_ok=True)
        os.write(self.terminal, f"nvmf-p2p {' '.join(words)}\t\n".encode())
        end = time.monotonic() + WAIT_S
        while not self.given.exists():
            assert time.monotonic() < end, self.said
            if select.select([self.terminal], [], [], 0.02)[0]:
                self.said += os.read(self.terminal, 65536)
        return self.given.read_text().splitlines()


class Completion(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def asked(self, *words):
        """What the shells get from the program."""
        done = subprocess.run([PROGRAM, "complete", *words], capture_output=True, text=True, timeout=WAIT_S)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def script(self, shell, name):
        """A shell's completion, in a file of that name; the test is skipped where there is no such shell."""
        if shutil.which(shell) is None:
            self.skipTest(f"there is no {shell}")
        text = subprocess.run([PROGRAM, "generate", shell], capture_output=True, text=True, check=True).stdout
        (self.folder / name).write_text(text)

    def test_bash_completes_what_the_daemon_has(self):
        place = served_place(self.folder / "a")
        with Running(place, PROGRAM, namespaces=2), Bash(self.folder) as bash:
            for typed, completed in COMPLETED:
                with self.subTest(typed=typed):
                    self.assertEqual(bash.gives(with_socket(typed, place.socket)), with_socket(completed, place.socket))
            self.assertEqual(bash.gives(["rem"]), ["remove"])
            (self.folder / "my volume.json").write_text("{}")
            self.assertEqual(bash.gives(["check", "my"]), ["check", "my volume.json"])
            self.assertEqual(bash.gives(["doctor", "--from=a/conf"]), ["doctor", "--from=a/config.json"])
        self.assertFalse((self.folder / "trap").exists())

    def test_fish_completes_what_the_daemon_has(self):
        self.script("fish", "script.fish")
        place = served_place(self.folder / "a")
        with Running(place, PROGRAM, namespaces=2):
            for typed, completed in COMPLETED[1:-1]:
                line = " ".join([PROGRAM, *with_socket(typed, place.socket)])
                said = subprocess.run(["fish", "--no-config", "-c", f"source script.fish; complete -C '{line}'"], cwd=self.folder, capture_output=True,
                                      text=True, timeout=WAIT_S, env={**os.environ, "HOME": str(self.folder)})
                self.assertIn(completed[-1], [found.split("\t")[0] for found in said.stdout.splitlines()], (typed, said.stderr))

    def test_zsh_completes_what_the_daemon_has(self):
        self.script("zsh", "_nvmf-p2p")
        place = served_place(self.folder / "a")
        with Running(place, PROGRAM, namespaces=2):
            for typed, completed in COMPLETED[1:-1]:
                words = [PROGRAM, *with_socket(typed, place.socket)]
                # As zsh calls it, whose completion system takes long to start.
                asked = f"""compadd() {{ print -rl -- ${{(P)2}} }}
_files() {{ }}
words=({" ".join(f"'{word}'" for word in words)}) CURRENT={len(words)} PREFIX='{words[-1]}'
source ./_nvmf-p2p"""
                said = subprocess.run(["zsh", "-f", "-c", asked], cwd=self.folder, capture_output=True, text=True, timeout=WAIT_S)
                self.assertIn(completed[-1], said.stdout.splitlines(), (typed, said.stderr))

    def test_a_name_that_a_shell_would_run_is_no_candidate(self):
        place = served_place(self.folder / "a")
        with Running(place, PROGRAM, namespaces=2):
            self.assertEqual(self.asked(*with_socket(("remove", "host", NQN, ""), place.socket)), [HOST])

    def test_no_daemon_is_no_message(self):
        self.assertEqual(self.asked("remove", "namespace", "--socket", str(self.folder / "no.sock"), ""), [])
        for words in ([], [""], ["--socket"], ["nosuch", ""], ["add", "--help", ""], ["remove", "namespace", "--socket"]):
            self.assertEqual(self.asked(*words), [])

    def test_a_daemon_that_does_not_answer_is_not_waited_for(self):
        path = self.folder / "hung.sock"
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(str(path))
            hung.listen()
            began = time.monotonic()
            self.assertEqual(self.asked("remove", "namespace", "--socket", str(path), ""), [])
            self.assertLess(time.monotonic() - began, WAIT_S / 2)


if __name__ == "__main__":
    unittest.main()
