#!/usr/bin/env python3
"""A command that writes a file of the user's choice replaces nothing that the user would miss."""

import os
import pathlib
import socket
import stat
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from place import PROGRAM, WAIT_S  # noqa: E402, takes the program off the arguments

STATE = "identifiers-0a000000-0000-4000-8000-000000000001.json"


class NamedFiles(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.state = self.folder / "state"
        self.state.mkdir()
        (self.state / STATE).write_text('{"format": 1}\n')

    def run_program(self, *words, status=0, **options):
        done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=WAIT_S, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def back_up(self, path, status=0):
        return self.run_program("backup", path, "--state-dir", self.state, status=status)

    def test_a_backup_replaces_only_a_backup(self):
        path = self.folder / "backup.json"
        for _ in range(2):
            self.back_up(path)
        path.write_text('{"ports": []}')
        said = self.back_up(path, status=1).stderr
        self.assertIn(f"{path} exists and is not a backup", said)
        self.assertIn("name a file that does not exist yet", said)
        self.assertEqual(path.read_text(), '{"ports": []}')

    def test_a_backup_replaces_no_fifo_socket_link_or_directory(self):
        def there(name):
            return self.folder / name

        os.mkfifo(there("a FIFO"))
        there("a directory").mkdir()
        there("a symbolic link").symlink_to(self.folder / "nowhere")
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(str(there("a socket")))
        for name in ("a FIFO", "a directory", "a symbolic link", "a socket"):
            kind = stat.S_IFMT(there(name).lstat().st_mode)
            said = self.back_up(there(name), status=1).stderr
            self.assertIn(f"is {name}, so it is not replaced", said)
            self.assertEqual(stat.S_IFMT(there(name).lstat().st_mode), kind)
        self.assertFalse(there("nowhere").exists())

    def test_a_hyphen_is_standard_output_and_standard_input(self):
        backup = self.run_program("backup", "-", "--state-dir", self.state, cwd=self.folder)
        self.assertFalse((self.folder / "-").exists())
        self.assertIn("saved 1 file", backup.stderr)
        self.run_program("restore", "-", "--state-dir", self.folder / "restored", input=backup.stdout)
        self.assertEqual((self.folder / "restored" / STATE).read_text(), '{"format": 1}\n')

    def test_a_backup_that_restore_would_refuse_is_not_made(self):
        broken = self.state / STATE.replace("0001.json", "0002.json")
        broken.write_text('{"format": 1')
        said = self.back_up(self.folder / "backup.json", status=1).stderr
        self.assertIn(f"{broken} is not JSON", said)
        self.assertIn("move the file out of the directory", said)
        self.assertFalse((self.folder / "backup.json").exists())

    def test_a_backup_longer_than_a_config_is_restored(self):
        for number in range(9):
            (self.state / STATE.replace("0001.json", f"1{number:03}.json")).write_text('{"format": 1}' + " " * (1 << 20))
        self.back_up(self.folder / "backup.json")
        self.run_program("restore", self.folder / "backup.json", "--state-dir", self.folder / "restored")
        self.assertEqual(len(list((self.folder / "restored").iterdir())), 10)

    def test_a_new_key_replaces_nothing(self):
        path = self.folder / "host.key"
        os.mkfifo(path)
        said = self.run_program("key", "generate", "--output", path, status=1).stderr
        self.assertIn("exists", said)
        self.assertIn("name a file that does not exist yet", said)
        self.assertTrue(stat.S_ISFIFO(path.lstat().st_mode))


if __name__ == "__main__":
    unittest.main()
