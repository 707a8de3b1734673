#!/usr/bin/env python3
"""Configs of other targets, imported by the command."""

import json
import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from place import DaemonTest, NQN, PROGRAM, WAIT_S  # noqa: E402, takes the program off the arguments


class Import(DaemonTest):
    def test_keys_are_imported_again_and_none_is_left_by_an_import_that_failed(self):
        def key():
            return subprocess.run([PROGRAM, "key", "generate"], capture_output=True, text=True, check=True).stdout.strip()

        folder = pathlib.Path(self.scratch.name)
        names = [f"nqn.2014-08.org.nvmexpress:host{number}" for number in range(3)]
        hosts = [{"nqn": name, "dhchap_key": key()} for name in names]
        saved = {"hosts": hosts, "ports": [], "subsystems": [
            {"nqn": NQN, "attr": {"allow_any_host": "0"}, "allowed_hosts": names[:2], "namespaces": []}]}

        def imported():
            (folder / "saved.json").write_text(json.dumps(saved))
            return subprocess.run([PROGRAM, "import", "nvmetcli", "saved.json", "--keys", "keys"], cwd=folder,
                                  capture_output=True, text=True, timeout=WAIT_S)

        self.assertEqual(imported().returncode, 0)
        files = sorted((folder / "keys").iterdir())
        self.assertEqual(len(files), 2, "the third host is in no subsystem")
        again = imported()
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn(f'"{files[0]}"', again.stdout)
        files[0].unlink()
        hosts[1]["dhchap_key"] = key()
        self.assertEqual(imported().returncode, 1)
        self.assertEqual(sorted((folder / "keys").iterdir()), files[1:])

    def test_subsystems_are_imported_as_drop_ins(self):
        folder = pathlib.Path(self.scratch.name)
        nqns = ["nqn.2026-01.io.example:a/1", "nqn.2026-01.io.example:b", "nqn.2026-01.io.other:b"]
        saved = {"ports": [], "subsystems": [{"nqn": nqn, "attr": {"allow_any_host": "1"}, "namespaces": []} for nqn in nqns]}
        (folder / "saved.json").write_text(json.dumps(saved))

        def imported(*words):
            return subprocess.run([PROGRAM, "import", "nvmetcli", "saved.json", *words], cwd=folder, capture_output=True,
                                  text=True, timeout=WAIT_S)

        done = imported("--drop-ins", "conf.d")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("wrote 3 drop-ins to conf.d", done.stderr)
        self.assertEqual(json.loads(done.stdout)["subsystems"], [])
        self.assertEqual(sorted(file.name for file in (folder / "conf.d").iterdir()), ["a_1.json", "b-2.json", "b.json"])
        (folder / "config.json").write_text(done.stdout)
        checked = subprocess.run([PROGRAM, "check", "--file-only", "config.json"], cwd=folder, capture_output=True, text=True,
                                 timeout=WAIT_S)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("config.json and 3 drop-ins: good: 0 ports, 3 subsystems", checked.stdout)
        (folder / "conf.d" / "a_1.json").unlink()
        again = imported("--drop-ins", "conf.d")
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn("conf.d/b.json cannot be written: File exists", again.stderr)
        self.assertFalse((folder / "conf.d" / "a_1.json").exists(), "the first of a failed import is left")


if __name__ == "__main__":
    unittest.main()
