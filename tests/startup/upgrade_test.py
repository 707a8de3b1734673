#!/usr/bin/env python3
"""Another program takes the place of the running one."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
from place import DaemonTest, PROGRAM, Running, WAIT_S  # noqa: E402, takes the program off the arguments


class Upgrade(DaemonTest):
    def installed(self, place, content=None):
        """The program, or a script, at a path where an upgrade finds another one later."""
        path = place.folder / "nvmf-p2p"
        new = place.folder / "new"
        if content is None:
            shutil.copy2(PROGRAM, new)
        else:
            new.write_text(content)
            new.chmod(0o755)
        new.rename(path)
        return path

    def served_place(self, name="a"):
        """With a file, whose data outlives the daemon."""
        place = self.place(name)
        image = place.folder / "image"
        image.write_bytes(bytes(1 << 20))
        place.config["subsystems"][0]["namespaces"] = [{"file": str(image)}]
        return place

    def upgrade(self, place, *words):
        return subprocess.run([PROGRAM, "upgrade", *words, "--socket", str(place.socket)], capture_output=True, text=True, timeout=WAIT_S)

    def test_a_file_that_was_replaced_is_told_and_prevents_an_upgrade(self):
        place = self.served_place()
        image = pathlib.Path(place.config["subsystems"][0]["namespaces"][0]["file"])
        with Running(place, self.installed(place)):
            new = image.with_name("new-image")
            shutil.copy2(image, new)
            new.rename(image)
            deadline = time.monotonic() + WAIT_S
            while not any("was removed or replaced" in one["what"] for one in self.status(place)["faults"]):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)
            self.installed(place)
            done = self.upgrade(place)
            self.assertEqual(done.returncode, 1)
            self.assertIn("was removed or replaced: the data of the former one", done.stderr)

    def test_a_stop_does_not_wait_for_a_program_that_hangs(self):
        place = self.served_place()
        with Running(place, self.installed(place)) as running:
            pid_file = place.folder / "pid"
            self.installed(place, f'#!/bin/sh\n[ "$1" = --version ] && echo 9 && exit\necho $$ >{pid_file}\nexec sleep 300\n')
            asking = subprocess.Popen([PROGRAM, "upgrade", "--socket", str(place.socket)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + WAIT_S
            while not (pid_file.exists() and pid_file.read_text().strip()):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            running.process.terminate()
            try:
                self.assertEqual(running.process.wait(WAIT_S / 3), 0)
            finally:
                os.kill(int(pid_file.read_text()), signal.SIGKILL)
                asking.wait(WAIT_S)

    def test_what_check_only_warns_of_prevents_no_upgrade(self):
        place = self.served_place()
        place.config["admin"]["mode"] = "0666"
        with Running(place, self.installed(place)):
            self.installed(place)
            done = self.upgrade(place)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_an_upgrade_begins_anew_in_the_same_process(self):
        place = self.served_place()
        with Running(place, self.installed(place)) as running:
            before = self.status(place)
            self.assertEqual((before["upgraded_from"], before["upgrade_failure"]), ("", ""))
            for _ in range(3):
                program = self.installed(place)
                done = self.upgrade(place)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("serves 1 namespace on", done.stdout)
                self.assertIsNone(running.process.poll())
                self.assertEqual(os.readlink(f"/proc/{running.process.pid}/exe"), str(program))
                after = self.status(place)
                self.assertNotEqual(after["started_ms"], before["started_ms"])
                self.assertEqual(after["upgraded_from"], before["version"])
                self.assertEqual(after["upgrade_failure"], "")
                before = after
            self.assertEqual(place.namespaces()[0]["state"], "served")
            open_files = [os.readlink(one) for one in pathlib.Path(f"/proc/{running.process.pid}/fd").iterdir()]
            self.assertEqual([one for one in open_files if one.startswith(str(program))], [])
        self.assertEqual(running.process.returncode, 0)

    def test_a_program_that_cannot_serve_does_not_take_over(self):
        place = self.served_place()
        with Running(place, self.installed(place)):
            before = self.status(place)
            for script, reason in (("exit 127", "exit status 127"), ('[ "$1" = --version ] && echo 9 || { echo no memory >&2; exit 1; }', "no memory")):
                self.installed(place, f"#!/bin/sh\n{script}\n")
                refused = self.upgrade(place)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(reason, refused.stderr)
                self.assertIn("the daemon goes on serving", refused.stderr)
            self.assertEqual(self.status(place)["started_ms"], before["started_ms"])
            self.assertEqual(place.namespaces()[0]["state"], "served")

    def test_a_config_or_a_state_that_the_next_program_cannot_use_prevents_an_upgrade(self):
        place = self.served_place()
        with Running(place, self.installed(place)):
            before = self.status(place)
            place.config_path.write_text("{ no json")
            self.assertIn("config.json", self.upgrade(place).stderr)
            place.command()
            state = pathlib.Path(place.config["state_dir"]) / "reservation-0a000000-0000-4000-8000-000000000001.json"
            state.write_text('{"format": 99}')
            self.assertIn(str(state), self.upgrade(place).stderr)
            self.assertEqual(self.status(place)["started_ms"], before["started_ms"])
            state.unlink()
            self.assertEqual(self.upgrade(place).returncode, 0)

    def test_changes_that_were_not_saved_and_data_in_memory_are_not_lost_by_an_upgrade(self):
        place = self.place()
        with Running(place, self.installed(place)):
            before = self.status(place)
            self.assertEqual(place.ask("set", "config", "shutdown_timeout_ms=4000").returncode, 0)
            refused = self.upgrade(place)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("shutdown_timeout_ms", refused.stderr)
            self.assertIn("is in memory", refused.stderr)
            self.assertEqual(place.ask("save").returncode, 0)
            refused = self.upgrade(place)
            self.assertNotIn("shutdown_timeout_ms", refused.stderr)
            self.assertIn("is in memory", refused.stderr)
            self.assertEqual(self.status(place)["started_ms"], before["started_ms"])
            self.assertEqual(self.upgrade(place, "--force").returncode, 0)

    def test_a_program_that_cannot_start_after_all_gives_the_place_back(self):
        place, other = self.served_place("a"), self.served_place("b")
        with Running(place, self.installed(place)) as running, Running(other) as holder:
            pid = running.process.pid
            good = place.config_path.read_text()
            place.config_path.write_text(json.dumps({**place.config, "state_dir": other.config["state_dir"]}))
            failed = self.upgrade(place)
            self.assertEqual(failed.returncode, 1)
            self.assertIn("the upgrade failed, and version", failed.stderr)
            self.assertIn(f"is in use by process {holder.process.pid}", failed.stderr)
            self.assertIsNone(running.process.poll())
            self.assertIn("is in use by process", self.status(place)["upgrade_failure"])
            self.assertEqual(place.namespaces()[0]["state"], "served")
            self.assertEqual(pathlib.Path(f"/proc/{pid}/comm").read_text(), "nvmf-p2p\n")
            place.config_path.write_text(good)
            self.assertEqual(self.upgrade(place).returncode, 0)
            self.assertEqual(self.status(place)["upgrade_failure"], "")

    def test_a_program_that_serves_less_than_the_former_one_gives_the_place_back(self):
        place = self.served_place()
        with Running(place, self.installed(place)) as running:
            before = self.status(place)
            good = place.config_path.read_text()
            place.config["subsystems"][0]["namespaces"] = [{"file": str(place.folder / "missing")}]
            place.command()  # writes the config: its file may appear later, so it is no mistake
            failed = self.upgrade(place)
            self.assertEqual(failed.returncode, 1)
            self.assertIn(f"does not serve what version {before['version']} served: namespace 1 of", failed.stderr)
            self.assertIsNone(running.process.poll())
            after = self.status(place)
            self.assertNotEqual(after["started_ms"], before["started_ms"])
            self.assertIn("does not serve what", after["upgrade_failure"])
            self.assertEqual(place.namespaces()[0]["state"], "served")
            place.config_path.write_text(good)
            self.assertEqual(self.upgrade(place).returncode, 0)
            self.assertEqual(self.status(place)["upgrade_failure"], "")

    def test_a_namespace_that_the_config_has_no_longer_is_not_missed_by_the_next_program(self):
        place = self.served_place()
        second = place.folder / "second"
        second.write_bytes(bytes(1 << 20))
        first = place.config["subsystems"][0]["namespaces"]
        place.config["subsystems"][0]["namespaces"] = [*first, {"file": str(second)}]
        with Running(place, self.installed(place), namespaces=2):
            place.config["subsystems"][0]["namespaces"] = first
            place.command()
            before = self.status(place)
            self.assertEqual(place.request("POST", "/v1/upgrade"), 200)
            end = time.monotonic() + WAIT_S
            while not place.has_started(1) or self.status(place)["started_ms"] == before["started_ms"]:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)
            time.sleep(6)  # a second longer than it would take to give up
            self.assertEqual((self.status(place)["upgraded_from"], self.status(place)["upgrade_failure"]), (before["version"], ""))

    def test_changes_are_made_while_the_next_program_is_asked_and_are_not_lost(self):
        place = self.served_place()
        asked, go = place.folder / "asked", place.folder / "go"
        with Running(place, self.installed(place)):
            before = self.status(place)
            self.installed(place, f"""#!/bin/sh
[ "$1" = --version ] && {{ echo 9; exit; }}
touch {asked}
while [ ! -e {go} ]; do sleep 0.1; done
echo '[]'
""")
            words = [PROGRAM, "upgrade", "--socket", str(place.socket)]
            with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as upgrade:
                try:
                    end = time.monotonic() + WAIT_S
                    while not asked.exists():
                        self.assertLess(time.monotonic(), end)
                        time.sleep(0.05)
                    changed = subprocess.run([PROGRAM, "set", "config", "log_level=debug", "--socket", str(place.socket)], stdout=subprocess.DEVNULL, timeout=WAIT_S / 4)
                    self.assertEqual(changed.returncode, 0)
                finally:
                    go.touch()
                self.assertIn("log_level", upgrade.stderr.read())
                self.assertEqual(upgrade.wait(timeout=WAIT_S), 1)
            self.assertEqual(self.status(place)["started_ms"], before["started_ms"])


if __name__ == "__main__":
    unittest.main()
