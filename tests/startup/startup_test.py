#!/usr/bin/env python3
"""The daemon on a machine without RNIC: a start that fails is one line and exit status 1, and does no harm."""

import contextlib
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import stat
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


class Startup(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)

    def place(self, name="a"):
        return Place(pathlib.Path(self.scratch.name) / name)

    def check_one_line(self, lines, *words):
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])

    def test_a_group_that_is_not_there(self):
        place = self.place()
        place.config["admin"]["group"] = "no-such-group"
        self.check_one_line(place.failure(), 'there is no group "no-such-group"')

    def test_a_socket_below_a_file(self):
        place = self.place()
        (place.folder / "file").write_text("data")
        place.config["admin"]["socket"] = str(place.folder / "file" / "admin.sock")
        self.check_one_line(place.failure(), "file")

    def test_a_disk_image_where_the_socket_should_be(self):
        place = self.place()
        image = place.folder / "image"
        image.write_text("a disk image")
        place.config["admin"]["socket"] = str(image)
        self.check_one_line(place.failure(), str(image), "not a socket")
        self.assertEqual(image.read_text(), "a disk image")

    def test_a_second_daemon_on_the_same_socket(self):
        first, second = self.place("a"), self.place("b")
        second.config["admin"]["socket"] = str(first.socket)
        with Running(first):
            self.check_one_line(second.failure(), str(first.socket), "another process")
            self.assertEqual(first.ask("status").returncode, 0)

    def test_a_second_daemon_with_the_same_state_directory(self):
        first, second = self.place("a"), self.place("b")
        second.config["state_dir"] = first.config["state_dir"]
        with Running(first) as running:
            self.check_one_line(second.failure(), first.config["state_dir"], f"process {running.process.pid}")

    def test_a_second_daemon_with_the_same_image_file_does_not_serve_it(self):
        first, second = self.place("a"), self.place("b")
        image = first.folder / "image"
        image.write_bytes(bytes(1 << 20))
        for place in (first, second):
            place.config["subsystems"][0]["namespaces"] = [{"file": str(image)}]
        with Running(first) as running, Running(second):
            self.assertEqual(first.namespaces()[0]["state"], "served")
            refused = second.namespaces()[0]
            self.assertEqual(refused["state"], "missing")
            self.assertIn(f"process {running.process.pid}", refused["reason"])

    def test_a_daemon_that_stops_leaves_its_successors_socket(self):
        first, second = self.place("a"), self.place("b")
        second.config["admin"]["socket"] = str(first.socket)
        second.socket = first.socket
        with Running(first) as running:
            os.unlink(first.socket)
            with Running(second):
                running.stop()
                self.assertEqual(second.ask("status").returncode, 0)

    def test_a_dead_socket_makes_way(self):
        place = self.place()
        place.socket.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(place.socket))
        with Running(place):
            pass
        self.assertFalse(place.socket.exists())

    def test_another_file_under_an_identifier_of_the_config_waits_for_the_operator(self):
        place = self.place()
        image = place.folder / "image"
        image.write_bytes(bytes(1 << 20))
        uuid = "3c1e2f4a-0000-4000-8000-000000000001"
        place.config["subsystems"][0]["namespaces"] = [{"file": str(image), "uuid": uuid}]
        with Running(place):
            self.assertEqual(place.namespaces()[0]["state"], "served")
        other = place.folder / "other"
        other.write_bytes(bytes(1 << 20))
        other.rename(image)
        with Running(place):
            refused = place.namespaces()[0]
            self.assertEqual(refused["state"], "missing")
            self.assertIn(f"nvmf-p2p accept {NQN} 1", refused["reason"])
            self.assertEqual(place.ask("reload").returncode, 0)
            self.assertEqual(place.namespaces()[0]["state"], "missing")
            accepted = place.ask("accept", NQN, "1")
            self.assertEqual(accepted.returncode, 0, accepted.stderr)
            self.assertEqual(place.namespaces()[0]["state"], "served")
            self.assertNotEqual(place.ask("accept", NQN, "1").returncode, 0)
        with Running(place):
            self.assertEqual(place.namespaces()[0]["state"], "served")

    def test_keys_are_read_again_by_a_reload_and_shown_to_nobody(self):
        place = self.place()
        first, second = place.folder / "first.key", place.folder / "second.key"
        for key in (first, second):
            subprocess.run([PROGRAM, "key", "generate", "--transform", "sha256", "--output", str(key)], check=True)
        fingerprint = subprocess.run([PROGRAM, "key", "show-fingerprint", str(first)], capture_output=True, text=True, check=True).stdout
        self.assertRegex(fingerprint, r"^[0-9a-f]{16}\n$")
        host = {"nqn": "nqn.2026-01.io.example:h", "key_file": str(first)}
        del place.config["subsystems"][0]["allow_any_host"]
        place.config["subsystems"][0]["hosts"] = [host]
        with Running(place) as running:
            self.assertEqual(json.loads(place.ask("reload").stdout)["changes"], [])
            secret = first.read_text().strip()
            first.write_text(second.read_text())
            self.assertEqual(json.loads(place.ask("reload").stdout)["changes"], [f"change subsystem {NQN}: keys of hosts"])
            self.assertEqual(json.loads(place.ask("reload", "--force").stdout)["changes"], [])
            self.assertEqual(json.loads(place.ask("subsystems").stdout)[0]["hosts"], [host["nqn"]])
            shown = "".join(place.ask(word).stdout for word in ("status", "subsystems", "connections", "stats"))
            self.assertEqual(place.ask("save").returncode, 0)
            shown += (place.folder / "config.json").read_text()
            running.process.send_signal(signal.SIGTERM)
            shown += running.process.communicate(timeout=WAIT_S)[1]
            for text in (secret, second.read_text().strip()):
                self.assertNotIn(text[10:40], shown)

    def test_a_key_is_as_long_as_the_hash_that_transforms_it(self):
        for transform, lengths in (("none", {32, 48, 64}), ("sha256", {32}), ("sha384", {48}), ("sha512", {64})):
            for length in (32, 48, 64):
                done = subprocess.run([PROGRAM, "key", "generate", "--transform", transform, "--length", str(length)],
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 0 if length in lengths else 2, done.stderr)
                if done.returncode != 0:
                    self.assertIn(f"has {max(lengths)} bytes: give --length {max(lengths)}, or leave --length out", done.stderr)
                    self.assertEqual(done.stdout, "")

    def test_a_key_that_is_missing_keeps_only_its_host_out(self):
        place = self.place()
        key = place.folder / "no.key"
        place.config["subsystems"][0]["hosts"] = [{"nqn": "nqn.2026-01.io.example:h", "key_file": str(key)}]
        locked_out = "no.key cannot be opened: No such file or directory; the host cannot authenticate until a reload can read the file"
        with Running(place) as running:
            self.assertEqual(place.namespaces()[0]["state"], "served")
            self.assertRegex(self.unreadable_keys(place), locked_out)
            place.config["log_level"] = "debug"
            place.command()
            reloaded = place.ask("reload")
            self.assertEqual(reloaded.returncode, 0, reloaded.stdout)
            self.assertRegex(reloaded.stdout, locked_out)
            self.assertEqual(json.loads(place.ask("status").stdout)["log_level"], "debug")
            subprocess.run([PROGRAM, "key", "generate", "--output", str(key)], check=True)
            self.assertEqual(json.loads(place.ask("reload").stdout)["changes"], [f"change subsystem {NQN}: keys of hosts"])
            self.assertEqual(self.unreadable_keys(place), "")
            running.process.send_signal(signal.SIGTERM)
            self.assertRegex(running.process.communicate(timeout=WAIT_S)[1], locked_out)

    def test_a_key_file_that_cannot_be_read_any_more_refuses_nothing_but_what_is_new_about_it(self):
        place = self.place()
        key = place.folder / "a.key"
        subprocess.run([PROGRAM, "key", "generate", "--output", str(key)], check=True)
        host = {"nqn": "nqn.2026-01.io.example:h", "key_file": str(key)}
        place.config["subsystems"][0]["hosts"] = [host]
        with Running(place) as running:
            self.assertEqual(self.unreadable_keys(place), "")
            key.chmod(0o640)
            for change in (["reload"], ["log-level", "debug"], ["reload"]):
                changed = place.ask(*change)
                self.assertEqual(changed.returncode, 0, changed.stdout)
                self.assertRegex(self.unreadable_keys(place), f"chmod 600 {key}; the host goes on with the keys that were read before")
            self.assertEqual(json.loads(place.ask("reload", "--force").stdout)["changes"], [])
            self.assertEqual(subprocess.run([PROGRAM, "check", str(place.config_path)], capture_output=True).returncode, 2)
            # What is new and cannot be read is a part of the change.
            place.config["subsystems"][0]["hosts"].append({"nqn": host["nqn"], "key_file": str(place.folder / "no.key")})
            place.config["log_level"] = "warn"
            place.command()
            refused = place.ask("reload")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("no.key cannot be opened", refused.stdout)
            self.assertNotIn("a.key", refused.stdout)
            self.assertEqual(json.loads(place.ask("status").stdout)["log_level"], "info")
            self.assertRegex(self.unreadable_keys(place), "a.key")
            running.process.send_signal(signal.SIGTERM)
            self.assertIn("the host goes on with the keys that were read before", running.process.communicate(timeout=WAIT_S)[1])

    def unreadable_keys(self, place):
        return "\n".join(json.loads(place.ask("status").stdout)["unreadable_keys"])

    def test_the_read_only_socket_answers_and_changes_nothing(self):
        place = self.place()
        watch = place.folder / "run" / "watch.sock"
        place.config["admin"].update({"read_only_socket": str(watch), "read_only_mode": "0666"})
        with Running(place) as running:
            self.assertEqual(stat.S_IMODE(watch.stat().st_mode), 0o666)
            self.assertEqual(stat.S_IMODE(place.socket.stat().st_mode), 0o600)

            def asked(*words):
                return subprocess.run([PROGRAM, *words, "--socket", str(watch)], capture_output=True, text=True, timeout=WAIT_S)

            for words in (["status", "--json"], ["subsystems"], ["stats"]):
                self.assertEqual(asked(*words).returncode, 0, words)
            for words in (["reload"], ["log-level", "debug"], ["save"], ["disconnect", "nqn.a"], ["drain", "1"]):
                refused = asked(*words)
                self.assertEqual(refused.returncode, 1, words)
                self.assertIn(f"this socket is read-only: it takes GET and no other method; changes go through {place.socket}", refused.stderr)
            self.assertEqual(json.loads(place.ask("status").stdout)["log_level"], "info")
            running.process.send_signal(signal.SIGTERM)
            self.assertNotIn("audit", running.process.communicate(timeout=WAIT_S)[1])
        self.assertFalse(watch.exists())

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

    def status(self, place):
        return json.loads(place.ask("status").stdout)

    def test_an_upgrade_begins_anew_in_the_same_process(self):
        place = self.served_place()
        with Running(place, self.installed(place)) as running:
            before = self.status(place)
            self.assertEqual((before["upgraded_from"], before["upgrade_failure"]), ("", ""))
            for _ in range(3):
                program = self.installed(place)
                done = self.upgrade(place)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("serves 1 namespaces", done.stdout)
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

    def test_a_name_that_check_accepts_is_served(self):
        place = self.place()
        place.config["subsystems"][0]["nqn"] = "nqn.2026-01.io.example:größe"
        with Running(place):
            self.assertEqual(place.namespaces()[0]["state"], "served")


    def test_a_name_cannot_control_the_terminal_through_the_log(self):
        place = self.place()
        place.config_path = place.folder / "a\x1b[31m\u009b\nb.json"
        place.config["admin"]["group"] = "no-such-group"
        done = subprocess.run(place.command(), capture_output=True, text=True, timeout=WAIT_S)
        self.assertIn("a\\x1b[31m\\u009b\\x0ab.json", done.stderr)
        self.assertNotIn("\x1b", done.stderr)
        self.assertNotIn("\u009b", done.stderr)

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

    def test_a_body_nested_too_deep_does_no_harm(self):
        place = self.place()
        with Running(place) as running:
            self.assertEqual(place.request("PATCH", "/v1/config", '{"a":' * 100_000 + "1" + "}" * 100_000), 400)
            self.assertIsNone(running.process.poll())

    def test_a_key_in_a_request_is_not_in_the_journal(self):
        place = self.place()
        key = "DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:"
        body = json.dumps({"hosts": [{"nqn": NQN, "key_file": key}]})
        with Running(place) as running:
            for text in (body, body[:-2], body + key):
                self.assertGreaterEqual(place.request("PATCH", f"/v1/subsystems/{NQN}", text), 400)
            self.assertGreaterEqual(place.request("POST", f"/v1/{key}"), 400)
            running.process.send_signal(signal.SIGTERM)
            log = running.process.communicate(timeout=WAIT_S)[1]
        self.assertEqual(log.count("audit: "), 4)
        self.assertIn("DHHC-1:...", log)
        self.assertNotIn(key[10:20], log)

    def test_the_journal_says_who_changed_what(self):
        place = self.place()
        with Running(place) as running:
            changing = subprocess.Popen([PROGRAM, "log-level", "warn", "--socket", str(place.socket)])
            self.assertEqual(changing.wait(WAIT_S), 0)
            self.assertEqual(place.ask("drain", "9").returncode, 1)
            running.process.send_signal(signal.SIGTERM)
            log = running.process.communicate(timeout=WAIT_S)[1]
        self.assertIn(f"audit: uid {os.getuid()}, pid {changing.pid}: PUT /v1/log-level/warn: done", log)

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

    def test_a_port_that_waits_says_why(self):
        place = self.place()
        with Running(place):
            added = place.ask("add", "port", "id=2", "address=192.0.2.2")
            self.assertIn("port 2 waits: ", added.stdout)
            self.assertTrue(json.loads(place.ask("status").stdout)["ports"][1]["reason"])

    def test_output_that_cannot_be_written_fails_the_command(self):
        place = self.place()
        with Running(place), open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "status", "--socket", str(place.socket)], stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=WAIT_S)
            self.assertEqual(done.returncode, 1)
            self.assertIn("standard output", done.stderr)

    def test_a_slip_drains_no_port(self):
        place = self.place()
        with Running(place):
            for words in (["drain"], ["drain", "0"], ["resume"], ["drain", "1", "--all"]):
                self.assertEqual(place.ask(*words).returncode, 2, words)
            self.assertEqual(json.loads(place.ask("status").stdout)["ports"][0]["state"], "waiting")
            self.assertEqual(place.ask("drain", "--all").returncode, 0)
            self.assertEqual(json.loads(place.ask("status").stdout)["ports"][0]["state"], "drained")

    def test_what_a_killed_daemon_left_is_removed_and_no_file_of_the_operator(self):
        place = self.place()
        state = place.folder / "state"
        state.mkdir()
        leftovers = [state / ".identifiers-x.json.nvmf-p2p-save", place.folder / ".config.json.nvmf-p2p-save"]
        others = [state / "identifiers-x.json.new", place.folder / "config.json.new", place.folder / "config.json~.new"]
        for file in leftovers + others:
            file.write_text("half")
        with Running(place) as running:
            self.assertEqual([leftover for leftover in leftovers if leftover.exists()], [])
            self.assertEqual([other for other in others if not other.exists()], [])
            running.process.send_signal(signal.SIGTERM)
            log = running.process.communicate(timeout=WAIT_S)[1]
        for leftover in leftovers:
            self.assertIn(f"removed {leftover}", log)

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

    def test_half_a_key_is_not_left(self):
        path = pathlib.Path(self.scratch.name) / "key"
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        done = subprocess.run([PROGRAM, "key", "generate", "--output", str(path)], preexec_fn=limit, restore_signals=False,
                              capture_output=True, text=True, timeout=WAIT_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be written", done.stderr)
        self.assertFalse(path.exists())

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

    def test_a_state_directory_that_cannot_be_written_is_told_until_it_can_be(self):
        place = self.place()
        (place.folder / "state").write_text("a file in its place")
        with Running(place):
            end = time.monotonic() + WAIT_S
            while not self.status(place)["state_dir_fault"]:
                self.assertLess(time.monotonic(), end, "the fault is not told")
                time.sleep(0.05)
            (place.folder / "state").unlink()
            while self.status(place)["state_dir_fault"]:
                self.assertLess(time.monotonic(), end, "the daemon does not try it again")
                time.sleep(0.2)

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
    sys.dont_write_bytecode = True
    unittest.main()
