#!/usr/bin/env python3
"""The files of a running config: edited, reloaded, applied, saved."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest
import uuid

sys.dont_write_bytecode = True
from place import DaemonTest, NQN, PROGRAM, Running, WAIT_S  # noqa: E402, takes the program off the arguments


class Save(DaemonTest):
    def test_an_edit_by_hand_is_not_overwritten(self):
        place = self.place()
        with Running(place):
            self.assertEqual(place.ask("log-level", "debug").returncode, 0)
            edited = json.dumps({**place.config, "shutdown_timeout_ms": 4000})
            place.config_path.write_text(edited)
            refused = place.ask("save")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("--force", refused.stderr)
            self.assertEqual(place.config_path.read_text(), edited)
            self.assertEqual(json.loads(place.ask("status").stdout)["unsaved_changes"], ['change log_level from "info" to "debug"'])
            self.assertEqual(place.ask("save", "--force").returncode, 0)
            self.assertEqual(pathlib.Path(f"{place.config_path}~").read_text(), edited)

    def test_changes_that_cancel_out_are_not_unsaved(self):
        place = self.place()
        with Running(place):
            for level in ("debug", "warn", "debug", "info"):
                self.assertEqual(place.ask("log-level", level).returncode, 0)
            self.assertEqual(json.loads(place.ask("status").stdout)["unsaved_changes"], [])

    def test_apply_and_diff(self):
        place = self.place()
        with Running(place):
            wanted = place.folder / "wanted.json"
            wanted.write_text(json.dumps({**place.config, "shutdown_timeout_ms": 4000}))
            self.assertEqual(place.ask("diff", str(wanted), "--exit-code").returncode, 3)
            self.assertEqual(place.ask("apply", str(wanted)).returncode, 0)
            again = place.ask("apply", str(wanted))
            self.assertEqual((again.returncode, json.loads(again.stdout)["changes"]), (0, []))
            self.assertEqual(place.ask("diff", str(wanted), "--exit-code").returncode, 0)
            self.assertEqual(place.ask("status", "--exit-code").returncode, 3)

    def test_the_config_of_a_daemon_is_a_file(self):
        place = self.place()
        done = subprocess.run([PROGRAM, "run", "-c", "-"], input=json.dumps(place.config), capture_output=True, text=True,
                              timeout=WAIT_S)
        self.assertEqual(done.returncode, 2)
        self.assertIn("the config must be a file", done.stderr)
        checked = subprocess.run([PROGRAM, "check", "-", "--file-only"], input=json.dumps(place.config), text=True,
                                 capture_output=True, timeout=WAIT_S)
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_a_config_file_that_is_emptied_or_deleted_is_written_anew(self):
        place = self.place()
        with Running(place):
            for spoil in (lambda: place.config_path.write_text(""), place.config_path.unlink):
                spoil()
                refused = place.ask("save")
                self.assertEqual(refused.returncode, 1)
                self.assertIn("--force", refused.stderr)
                saved = place.ask("save", "--force")
                self.assertEqual(saved.returncode, 0, saved.stderr)
                self.assertEqual(json.loads(place.config_path.read_text())["ports"], place.config["ports"])

    def test_a_file_that_cannot_be_read_is_named_with_the_reason(self):
        place = self.place()
        fifo = place.folder / "fifo"
        os.mkfifo(fifo)
        with Running(place):
            for file, reason in (("nosuch", "No such file"), (str(place.folder), "directory"), (str(fifo), "no regular file")):
                for words in (["apply", file], ["diff", file]):
                    refused = place.ask(*words)
                    self.assertEqual(refused.returncode, 2, words)
                    self.assertIn(f"cannot read {file}: ", refused.stderr)
                    self.assertIn(reason, refused.stderr)
            empty = subprocess.run([PROGRAM, "apply", "-", "--socket", str(place.socket)], stdin=subprocess.DEVNULL,
                                   capture_output=True, text=True, timeout=WAIT_S)
            self.assertEqual(empty.returncode, 2)
            self.assertNotIn("cannot read", empty.stderr)
        refused = subprocess.run([PROGRAM, "import", "nvmetcli", str(place.folder)], capture_output=True, text=True,
                                 timeout=WAIT_S)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("Is a directory", refused.stderr)

    def test_a_reload_tells_only_of_changes_that_it_loses(self):
        place = self.place()
        with Running(place):
            self.assertEqual(place.ask("log-level", "debug").returncode, 0)
            self.assertEqual(place.ask("set", "config", "shutdown_timeout_ms=4000").returncode, 0)
            place.config_path.write_text(json.dumps({**place.config, "log_level": "debug"}))
            told = json.loads(place.ask("reload").stdout)["reasons"]
            self.assertEqual([line for line in told if "log_level" in line], [])
            self.assertEqual(len([line for line in told if "shutdown_timeout_ms" in line]), 1)

    def test_drop_ins_are_a_part_of_the_config(self):
        place = self.place()
        place.drop_in("10-b", [{"nqn": f"{NQN}-b", "allow_any_host": True, "namespaces": [{"memory": "1MiB"}]}])
        (place.folder / "conf.d" / "10-b.json~").write_text("not read")
        with Running(place, namespaces=2) as running:
            status = json.loads(place.ask("status").stdout)
            self.assertEqual(status["drop_ins"], [str(place.folder / "conf.d" / "10-b.json")])
            self.assertEqual(place.nqns(), [NQN, f"{NQN}-b"])
            place.drop_in("20-c", [{"nqn": f"{NQN}-c", "allow_any_host": True, "namespaces": [{"memory": "1MiB"}]}])
            compared = place.ask("diff", str(place.config_path))
            self.assertEqual(json.loads(compared.stdout)["changes"], [f"add subsystem {NQN}-c", f"add namespace 1 of {NQN}-c"])
            running.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + WAIT_S
            while len(place.nqns()) < 3:
                self.assertLess(time.monotonic(), end, "SIGHUP has not read the new drop-in")
                time.sleep(0.05)
            (place.folder / "conf.d" / "10-b.json").unlink()
            removed = json.loads(place.ask("reload").stdout)["changes"]
            self.assertEqual(removed, [f"remove namespace 1 of {NQN}-b", f"remove subsystem {NQN}-b"])

    def test_a_mistake_in_a_drop_in_names_both_files_and_changes_nothing(self):
        place = self.place()
        twice = place.drop_in("twice", [{"nqn": NQN, "allow_any_host": True, "namespaces": [{"memory": "1MiB"}]}])
        place.command()
        words = f"{twice}:1:25: error: $.subsystems[0].nqn: the same NQN as $.subsystems[0].nqn of {place.config_path}:1:"
        for command in (["check", "--file-only", str(place.config_path)], ["run", "-c", str(place.config_path)]):
            refused = subprocess.run([PROGRAM, *command], capture_output=True, text=True, timeout=WAIT_S)
            self.assertEqual(refused.returncode, 2, command)
            self.assertIn(words, refused.stderr)
        found = subprocess.run([PROGRAM, "check", "--file-only", "--json", str(place.config_path)], capture_output=True,
                               text=True, timeout=WAIT_S)
        self.assertEqual([(one["file"], one["line"]) for one in json.loads(found.stdout)], [(str(twice), 1)])
        alone = subprocess.run([PROGRAM, "check", "--file-only", str(twice)], capture_output=True, text=True, timeout=WAIT_S)
        self.assertEqual(alone.returncode, 2)
        self.assertIn(f"this is a drop-in: check the config file in {place.folder} that it belongs to", alone.stderr)
        twice.unlink()
        with Running(place):
            place.drop_in("ports", [], ports=[])
            refused = place.ask("reload")
            self.assertEqual(refused.returncode, 2)
            self.assertIn(f"write it in {place.config_path}", json.loads(refused.stdout)["reasons"][0])
            self.assertEqual(place.nqns(), [NQN])

    def test_a_change_is_saved_to_the_drop_in_that_it_belongs_to(self):
        place = self.place()
        b = place.drop_in("b", [{"nqn": f"{NQN}-b", "allow_any_host": True, "namespaces": [{"memory": "1MiB"}]}])
        before = b.read_text()
        with Running(place, namespaces=2):
            main = place.config_path.read_text()
            self.assertEqual(place.ask("set", "namespace", f"{NQN}-b", "1", "max_iops=7").returncode, 0)
            saved = json.loads(place.ask("save").stdout)
            self.assertEqual(saved["files"], [str(b)])
            self.assertEqual(place.config_path.read_text(), main)
            self.assertEqual(json.loads(b.read_text())["subsystems"][0]["namespaces"][0]["max_iops"], 7)
            self.assertEqual(pathlib.Path(f"{b}~").read_text(), before)
            self.assertEqual(json.loads(place.ask("reload").stdout)["changes"], [])
            b.write_text(before)
            self.assertEqual(place.ask("set", "namespace", f"{NQN}-b", "1", "max_iops=8").returncode, 0)
            refused = place.ask("save")
            self.assertEqual(refused.returncode, 1)
            self.assertIn(f"{b} was changed after the daemon had read it", refused.stderr)
            self.assertEqual(b.read_text(), before)

    def request(self, place, method, target, body=None):
        """A connection on which the daemon has been asked, and has not been waited for."""
        client = http.client.HTTPConnection("localhost", timeout=WAIT_S)
        client.sock = socket.socket(socket.AF_UNIX)
        client.sock.connect(str(place.socket))
        client.request(method, target, body=body)
        return client

    def done(self, place, method, target, body=None):
        client = self.request(place, method, target, body)
        self.assertLess(client.getresponse().status, 300)
        client.close()

    def test_a_daemon_that_is_killed_while_it_saves_leaves_each_file_old_or_new(self):
        place = self.place()
        space = [{"memory": "1MiB"}]
        b = place.drop_in("b", [{"nqn": f"{NQN}-b", "allow_any_host": True, "namespaces": space}])
        place.command()
        files = [place.config_path, b]
        for file, mode in zip(files, (0o640, 0o604)):
            file.chmod(mode)
            if os.geteuid() == 0:
                os.chown(file, 12345, 12346)
        old = [file.read_text() for file in files]
        access = [(one.st_uid, one.st_gid, one.st_mode) for one in (file.stat() for file in files)]
        directories = {file.parent for file in files}

        def restore():
            for file, text in zip(files, old):
                file.write_text(text)
                pathlib.Path(f"{file}~").unlink(missing_ok=True)

        def change():
            self.done(place, "PUT", "/v1/log-level/debug")
            self.done(place, "PATCH", f"/v1/subsystems/{NQN}-b/namespaces/1", json.dumps({"max_iops": 7}))

        with Running(place, namespaces=2):
            change()
            began = time.monotonic()
            self.done(place, "POST", "/v1/save")
            lasts = time.monotonic() - began
        new = [file.read_text() for file in files]
        self.assertTrue(all(one != other for one, other in zip(old, new)))

        rounds = 30
        for number in range(rounds):
            restore()
            with Running(place, namespaces=2) as running:
                self.assertEqual([path for folder in directories for path in folder.glob(".*")], [], "what the one before left")
                change()
                client = self.request(place, "POST", "/v1/save")
                time.sleep(1.2 * lasts * number / rounds)
                running.process.kill()
                running.process.wait(WAIT_S)
                client.close()
            for file, before, after, known in zip(files, old, new, access):
                copy = pathlib.Path(f"{file}~")
                self.assertIn(file.read_text(), (before, after))
                for one in [file] + ([copy] if copy.exists() else []):
                    self.assertEqual((one.stat().st_uid, one.stat().st_gid, one.stat().st_mode), known, one)
                if copy.exists():
                    self.assertEqual(copy.read_text(), before)
            loads = subprocess.run([PROGRAM, "check", "--file-only", str(place.config_path)], capture_output=True, text=True,
                                   timeout=WAIT_S)
            self.assertEqual(loads.returncode, 0, loads.stderr)

    def test_a_save_that_was_interrupted_is_undone_before_the_config_is_read(self):
        place = self.place()
        place.config["log_level"] = "warn"
        old = json.dumps({**place.config, "log_level": "debug"})
        place.command()
        new = place.config_path.read_text()
        journal = place.folder / ".config.json.nvmf-p2p-save-journal"

        def interrupt():
            place.config_path.write_text(new)
            pathlib.Path(f"{place.config_path}~").write_text(old)
            before, after = (str(uuid.uuid5(uuid.NAMESPACE_OID, text)) for text in (old, new))
            journal.write_text(json.dumps({"files": [{"path": str(place.config_path), "before": before, "after": after}]}))

        interrupt()
        checked = subprocess.run([PROGRAM, "check", "--file-only", str(place.config_path)], capture_output=True, text=True,
                                 timeout=WAIT_S)
        self.assertEqual(checked.returncode, 0)
        self.assertIn("a save of the running config was interrupted", checked.stderr)
        with Running(place) as running:
            self.assertEqual(self.status(place)["log_level"], "debug")
            self.assertEqual(place.config_path.read_text(), old)
            self.assertFalse(journal.exists())
            interrupt()
            self.assertEqual(json.loads(place.ask("reload").stdout)["changes"], [])
            self.assertFalse(journal.exists())
            running.process.send_signal(signal.SIGTERM)
            log = running.process.communicate(timeout=WAIT_S)[1]
        self.assertEqual(log.count(f"{place.config_path} has again what it had before the save"), 2)

    def test_a_broken_drop_in_is_the_only_thing_that_is_told(self):
        place = self.place()
        place.config["subsystems"] = []
        broken = place.drop_in("broken", [])
        broken.write_text('{"subsystems": [')
        place.command()
        for command in (["check", "--file-only", str(place.config_path)], ["run", "-c", str(place.config_path)]):
            refused = subprocess.run([PROGRAM, *command], capture_output=True, text=True, timeout=WAIT_S)
            self.assertEqual(refused.returncode, 2, command)
            self.check_one_line(refused.stderr.splitlines(), f"{broken}:1:")

    def test_a_config_with_drop_ins_is_applied_as_a_whole(self):
        place = self.place()
        b = place.drop_in("b", [{"nqn": f"{NQN}-b", "allow_any_host": True, "namespaces": [{"memory": "1MiB"}]}])
        with Running(place, namespaces=2):
            applied = place.ask("apply", str(place.config_path))
            self.assertEqual((applied.returncode, json.loads(applied.stdout)["changes"]), (0, []))
            b.write_text(b.read_text().replace("1MiB", "2MiB"))
            self.assertEqual(place.ask("diff", str(place.config_path), "--exit-code").returncode, 3)
            self.assertEqual(len(json.loads(place.ask("apply", str(place.config_path)).stdout)["changes"]), 1)
            self.assertEqual(json.loads(place.ask("save").stdout)["files"], [])
            self.assertEqual(json.loads(place.ask("status").stdout)["unsaved_changes"], [])

    def test_an_edited_file_that_was_applied_can_be_saved(self):
        place = self.place()
        with Running(place):
            place.config_path.write_text(json.dumps({**place.config, "shutdown_timeout_ms": 4000}))
            self.assertEqual(place.ask("apply", str(place.config_path)).returncode, 0)
            saved = place.ask("save")
            self.assertEqual(saved.returncode, 0, saved.stderr)
            self.assertEqual(json.loads(place.ask("status").stdout)["unsaved_changes"], [])


if __name__ == "__main__":
    unittest.main()
