#!/usr/bin/env python3
"""A start that fails is one line and exit status 1, and does no harm; what a daemon shows and takes."""

import json
import os
import pathlib
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
from place import DaemonTest, NQN, PROGRAM, Running, WAIT_S  # noqa: E402, takes the program off the arguments


class Startup(DaemonTest):
    def test_a_group_that_is_not_there(self):
        place = self.place()
        place.config["admin"]["group"] = "no-such-group"
        self.check_one_line(place.failure(), 'there is no group "no-such-group"')

    def test_check_fails_where_run_surely_does(self):
        place = self.place()
        place.config["admin"]["group"] = "no-such-group"
        place.config_path.write_text(json.dumps(place.config))
        for status, words in ((2, ()), (0, ("--file-only",))):
            done = subprocess.run([PROGRAM, "check", str(place.config_path), *words], capture_output=True, text=True, timeout=WAIT_S)
            self.assertEqual(done.returncode, status, done.stderr)

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
            self.assertEqual(place.ask("resume", "1").returncode, 0)
            running.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + WAIT_S
            while not self.status(place)["last_reload"]:
                self.assertLess(time.monotonic(), end, "SIGHUP reloads nothing")
                time.sleep(0.05)
            running.process.send_signal(signal.SIGTERM)
            log = running.process.communicate(timeout=WAIT_S)[1]
        self.assertIn(f"audit: uid {os.getuid()}, pid {changing.pid}, socket {place.socket}: PUT /v1/log-level/warn: done", log)
        self.assertIn("audit: signal SIGHUP: reload: done", log)
        self.assertIn("POST /v1/drain?port=9: refused, status 404: there is no port 9\n", log)
        self.assertIn("POST /v1/resume?port=1: nothing changed\n", log)

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

    def test_output_that_cannot_be_written_is_no_backup(self):
        state = pathlib.Path(self.scratch.name) / "state"
        state.mkdir()
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "backup", "-", "--state-dir", str(state)], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=WAIT_S)
        self.assertEqual((done.returncode, done.stderr), (1, "cannot write to standard output: the output is not complete\n"))

    def test_a_slip_of_the_keyboard_is_named(self):
        folder = pathlib.Path(self.scratch.name)

        def said(*words):
            done = subprocess.run([PROGRAM, *words], cwd=folder, capture_output=True, text=True, timeout=WAIT_S)
            self.assertNotEqual(done.returncode, 0, words)
            return done.stderr

        self.assertTrue(said("staus").startswith('there is no command "staus"\n'))
        self.assertTrue(said("import", "spkd", "file").startswith('there is no command "spkd"\n'))
        self.assertTrue(said("remove", "port", "first").startswith('id: "first" is not a number\n'))
        self.assertTrue(said("remove", "port", "99999999999").startswith('id: "99999999999" is not from 1 to 65535\n'))
        self.assertTrue(said("set", "--socket", "a").startswith('a command is needed before "--socket"\n'))
        self.assertTrue(said("check", "").startswith("file: the name of the file is empty\n"))
        self.assertIn("none,sha256,sha384,sha512", said("key", "generate", "--transform", "sha1"))
        self.assertTrue(said("key", "check", "host.key").startswith("the key file ./host.key cannot be opened: No such file"))
        self.assertIn("nothing.json: error: No such file", said("backup", "out", "--config", "nothing.json"))
        self.assertIn("the state directory /nothing cannot be read: No such file", said("backup", "out", "--state-dir", "/nothing"))
        self.assertFalse((folder / "out").exists())

    def test_a_number_is_decimal_and_a_key_is_given_once(self):
        place = self.place()
        with Running(place):
            for words in (("drain", "01"), ("drain", "0x1"), ("remove", "port", "01"), ("remove", "namespace", NQN, "01")):
                done = place.ask(*words)
                self.assertEqual(done.returncode, 2, words)
                self.assertIn("is not a decimal number", done.stderr)
            self.assertEqual(place.request("DELETE", "/v1/ports/01"), 400)
            twice = place.ask("set", "subsystem", NQN, "max_controllers=1", "max_controllers=2")
            self.assertEqual(twice.returncode, 2)
            self.assertIn('the key "max_controllers" is given twice', twice.stderr)
            self.assertIn("nosuch", place.ask("accept", "nosuch", "1").stderr)
            self.assertIn("no subsystem", place.ask("accept", "nosuch", "1").stderr)
            self.assertEqual([port["state"] for port in self.status(place)["ports"]], ["waiting"])

    def test_a_change_tells_only_of_what_it_brings_and_names_nqns_whole(self):
        place = self.place()
        host = "nqn.2014-08.org.nvmexpress:uuid:3c1e2f4a-0000-4000-8000-000000000001"
        place.config["subsystems"].append({"nqn": "plain", "allowed_hosts": [host], "namespaces": [{"nvme": "/dev/ng77n1"}]})
        with Running(place, namespaces=2):
            removed = json.loads(place.ask("set", "subsystem", "plain", "allow_any_host=true", "allowed_hosts=null").stdout)
            self.assertIn(host, removed["changes"][0])
            self.assertEqual(removed["reasons"], [])
            added = json.loads(place.ask("add", "namespace", NQN, "memory=1000GiB").stdout)
            self.assertEqual(len(added["reasons"]), 1, added)
            self.assertIn("this machine has", added["reasons"][0])
            again = json.loads(place.ask("set", "subsystem", NQN, "max_controllers=3").stdout)
            self.assertEqual(again["reasons"], [])

    def test_a_path_on_the_command_line_cannot_control_the_terminal(self):
        for words in (("status", "--socket", "/tmp/\x1b[31m"), ("key", "check", "/tmp/\x1b[31m"), ("doctor", "--from", "/tmp/\x1b[31m"), ("check", "/tmp/\x1b[31m"), ("status", "--nosuch\x1b[31m")):
            done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=WAIT_S)
            self.assertNotEqual(done.returncode, 0)
            self.assertNotIn("\x1b", done.stdout + done.stderr)
            self.assertIn("\\x1b" if words[0] != "check" else "x1b", done.stdout + done.stderr)

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

    def test_half_a_key_is_not_left(self):
        path = pathlib.Path(self.scratch.name) / "key"
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        done = subprocess.run([PROGRAM, "key", "generate", "--output", str(path)], preexec_fn=limit, restore_signals=False,
                              capture_output=True, text=True, timeout=WAIT_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be written", done.stderr)
        self.assertFalse(path.exists())

    def test_what_is_wrong_is_told_everywhere_alike(self):
        place = self.place()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place.config["metrics"] = {"address": "127.0.0.1", "port": free.getsockname()[1]}
        place.config["subsystems"][0]["namespaces"].append({"file": str(place.folder / "no-image")})
        (place.folder / "state").write_text("a file in its place")
        with Running(place, namespaces=2):
            end = time.monotonic() + WAIT_S
            while not self.status(place)["state_dir_fault"]:
                self.assertLess(time.monotonic(), end, "the fault is not told")
                time.sleep(0.05)
            place.config_path.write_text("{ no json")
            self.assertEqual(place.ask("reload").returncode, 2)
            faults = self.status(place)["faults"]
            for word in ("Port 1 ", "Namespace 2 ", "The last reload ", "The state directory "):
                self.assertEqual(len([one for one in faults if one["what"].startswith(word)]), 1, word)
            self.assertEqual(place.ask("status", "--exit-code").returncode, 3)
            while True:
                page = json.loads(place.answer_of_metrics("/page.json")[1])  # may be half a second old
                if [one["what"] for one in page["problems"] if one["weight"] == "fault"] == [one["what"] for one in faults]:
                    break
                self.assertLess(time.monotonic(), end, page["problems"])
                time.sleep(0.1)
            unready = self.status(place)["unready"]
            self.assertEqual(len(unready), 1)
            self.assertEqual(page["unready"], unready)
            self.assertEqual(place.answer_of_metrics("/readyz"), (503, unready[0] + "\n"))
            metrics = place.answer_of_metrics("/metrics")[1].splitlines()
            for sample in ("nvmf_missing_namespaces 1", "nvmf_last_reload_success 0", "nvmf_state_dir_fault 1",
                           'nvmf_port_state{port="1",address="192.0.2.1",state="waiting"} 1'):
                self.assertIn(sample, metrics)
            self.assertEqual(place.answer_of_metrics("/healthz")[0], 200)

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


if __name__ == "__main__":
    unittest.main()
