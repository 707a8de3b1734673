#!/usr/bin/env python3
"""The resource agent of a Pacemaker cluster with the real daemon, on a machine without RNIC; a stand-in for systemctl runs the daemon as systemd would."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

PROGRAM = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else "nvmf-p2p").resolve()
HERE = pathlib.Path(__file__).resolve().parent
AGENT = HERE.parents[1] / "docker/ha/nvmf-p2p"
SUCCESS, GENERIC, UNIMPLEMENTED, INSTALLED, CONFIGURED, NOT_RUNNING, PROMOTED, FAILED_PROMOTED = 0, 1, 3, 5, 6, 7, 8, 9
WAIT_S = 60
OCF_ROOT = os.environ.get("OCF_ROOT", "/usr/lib/ocf")
OCF_TESTER = shutil.which("ocf-tester")

# Starts when the daemon answers, as systemd knows from Type=notify.
SYSTEMCTL = """#!/bin/sh
running() { [ -e pid ] && kill -0 "$(cat pid)" 2>/dev/null && ! grep -q ^State:.Z "/proc/$(cat pid)/status"; }
cd {folder} || exit 1
case "$1" in
  is-active) running ;;
  show)
    if running; then echo active; elif [ -e restarts ]; then echo activating; else echo inactive; fi ;;
  start)
    running && exit 0
    {program} run -c {config} >>log 2>&1 & echo $! >pid
    for _ in $(seq 300); do
      {program} status --socket {socket} >/dev/null 2>&1 && exit 0
      running || exit 1
      sleep 0.2
    done
    exit 1 ;;
  stop)
    rm -f restarts
    running || exit 0
    kill "$(cat pid)"
    for _ in $(seq 300); do running || exit 0; sleep 0.2; done
    exit 1 ;;
  reset-failed) ;;
  *) exit 1 ;;
esac
"""


class Agent(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.addCleanup(self.end_daemon)
        self.config, self.socket = self.folder / "config.json", self.folder / "run/admin.sock"
        self.write_config()
        commands = self.folder / "bin"
        commands.mkdir()
        words = {"folder": self.folder, "program": PROGRAM, "config": self.config, "socket": self.socket}
        text = SYSTEMCTL
        for word, value in words.items():
            text = text.replace("{" + word + "}", str(value))
        (commands / "systemctl").write_text(text)
        (commands / "systemctl").chmod(0o755)
        self.env = {
            **os.environ,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "OCF_FUNCTIONS_DIR": str(HERE),
            "OCF_RESOURCE_INSTANCE": "target:0",
            "HA_RSCTMP": str(self.folder / "tmp"),
            "OCF_RESKEY_binary": str(PROGRAM),
            "OCF_RESKEY_config": str(self.config),
            "OCF_RESKEY_socket": str(self.socket),
        }

    def write_config(self, **more):
        subsystem = {"nqn": "nqn.2026-01.io.example:a", "allow_any_host": True, "cntlid_max": 32000, "namespaces": [{"memory": "1MiB"}]}
        config = {"admin": {"socket": str(self.socket)}, "state_dir": str(self.folder / "state"), "ports": [{"id": 1, "address": "192.0.2.1"}]}
        self.config.write_text(json.dumps({**config, "subsystems": [subsystem], **more}))

    def end_daemon(self):
        try:
            os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            pass

    def run_agent(self, action, **env):
        return subprocess.run([AGENT, action], capture_output=True, text=True, timeout=WAIT_S, env={**self.env, **env})

    def expect(self, action, code):
        done = self.run_agent(action)
        self.assertEqual(done.returncode, code, f"{action}: {done.stdout}{done.stderr}")
        return done.stderr

    def daemon_runs(self):
        return subprocess.run([PROGRAM, "status", "--socket", str(self.socket)], capture_output=True).returncode == 0

    def await_line(self, words):
        deadline = time.monotonic() + WAIT_S
        while words not in (self.folder / "log").read_text():
            self.assertLess(time.monotonic(), deadline, f"the daemon does not say {words!r}")
            time.sleep(0.05)

    def scores(self):
        return (self.folder / "tmp/scores").read_text().splitlines()

    def test_it_goes_through_all_roles(self):
        self.expect("monitor", NOT_RUNNING)
        self.expect("start", SUCCESS)
        self.assertFalse(self.daemon_runs())
        self.expect("monitor", SUCCESS)
        self.expect("promote", SUCCESS)
        self.assertTrue(self.daemon_runs())
        self.expect("monitor", PROMOTED)
        self.expect("demote", SUCCESS)
        self.assertFalse(self.daemon_runs())
        self.expect("monitor", SUCCESS)
        self.expect("promote", SUCCESS)
        self.expect("stop", SUCCESS)
        self.assertFalse(self.daemon_runs())
        self.expect("monitor", NOT_RUNNING)
        self.assertEqual(self.scores(), ["score -v 10", "score -D"])

    def test_each_action_may_be_repeated(self):
        for action in ("start", "promote", "demote", "stop"):
            for _ in range(2):
                self.expect(action, SUCCESS)

    def test_what_was_not_started_is_neither_promoted_nor_demoted(self):
        self.expect("promote", NOT_RUNNING)
        self.expect("demote", NOT_RUNNING)
        self.expect("stop", SUCCESS)
        self.assertFalse(self.daemon_runs())

    def test_hosts_are_told_before_the_daemon_stops(self):
        self.expect("start", SUCCESS)
        self.expect("promote", SUCCESS)
        self.await_line("port 1")  # the daemon has come so far that there is one to be drained
        self.expect("demote", SUCCESS)
        self.assertIn("port 1 drains: hosts are asked to use other ports", (self.folder / "log").read_text())

    def test_a_daemon_that_died_has_failed_and_can_be_started_again(self):
        self.expect("start", SUCCESS)
        self.expect("promote", SUCCESS)
        self.end_daemon()
        time.sleep(0.5)
        self.assertIn("the daemon has ended", self.expect("monitor", FAILED_PROMOTED))
        self.expect("demote", SUCCESS)
        self.expect("stop", SUCCESS)
        self.expect("start", SUCCESS)
        self.expect("promote", SUCCESS)
        self.expect("monitor", PROMOTED)

    def test_a_daemon_that_systemd_is_about_to_restart_does_not_come_back(self):
        self.expect("start", SUCCESS)
        for action in ("demote", "stop"):
            (self.folder / "restarts").touch()
            self.expect(action, SUCCESS)
            self.assertFalse((self.folder / "restarts").exists())

    def test_a_daemon_that_hangs_has_failed(self):
        self.expect("start", SUCCESS)
        self.expect("promote", SUCCESS)
        pid = int((self.folder / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        self.env["OCF_RESKEY_answer_timeout"] = "1"
        self.assertIn("does not answer", self.expect("monitor", FAILED_PROMOTED))
        os.kill(pid, signal.SIGCONT)
        self.expect("monitor", PROMOTED)

    def test_a_probe_finds_a_daemon_that_runs_without_a_role(self):
        self.expect("start", SUCCESS)
        self.expect("promote", SUCCESS)
        shutil.rmtree(self.folder / "tmp")
        self.expect("monitor", PROMOTED)
        self.expect("stop", SUCCESS)
        self.assertFalse(self.daemon_runs())

    def test_a_config_with_mistakes_is_not_started(self):
        self.write_config(prots=[])
        self.assertIn("prots", self.expect("start", CONFIGURED))
        self.expect("validate-all", CONFIGURED)
        self.expect("monitor", NOT_RUNNING)

    def test_a_machine_without_the_program_says_so(self):
        self.env["OCF_RESKEY_binary"] = "/nowhere/nvmf-p2p"
        self.expect("validate-all", INSTALLED)
        self.expect("start", INSTALLED)

    def test_storage_that_is_elsewhere_prevents_no_start(self):
        self.write_config(subsystems=[{"nqn": "nqn.2026-01.io.example:a", "allow_any_host": True, "namespaces": [{"block": "/dev/drbd0"}]}])
        self.expect("start", SUCCESS)

    def test_its_meta_data_names_what_it_takes_and_does(self):
        data = xml.etree.ElementTree.fromstring(self.run_agent("meta-data", OCF_RESKEY_binary="/nowhere").stdout)
        parameters = {one.get("name"): one.find("content").get("default") for one in data.iter("parameter")}
        text = AGENT.read_text()
        for name, default in parameters.items():
            self.assertIn(f'"${{OCF_RESKEY_{name}:={default}}}"', text)
        self.assertEqual(text.count(": \"${OCF_RESKEY_"), len(parameters))
        actions = {one.get("name") for one in data.iter("action")}
        self.assertEqual(actions, {"start", "stop", "promote", "demote", "monitor", "meta-data", "validate-all"})
        self.assertEqual({one.get("role") for one in data.iter("action")}, {None, "Promoted", "Unpromoted"})

    def test_it_knows_no_other_action(self):
        self.expect("migrate_to", UNIMPLEMENTED)

    @unittest.skipUnless(OCF_TESTER, "there is no ocf-tester (Debian: resource-agents)")
    def test_ocf_tester_finds_nothing(self):
        for name in ("crm_master", "crm_attribute"):
            (self.folder / "bin" / name).write_text("#!/bin/sh\n")
            (self.folder / "bin" / name).chmod(0o755)
        env = {**self.env, "OCF_ROOT": OCF_ROOT, "OCF_FUNCTIONS_DIR": f"{OCF_ROOT}/lib/heartbeat", "HA_SBIN_DIR": str(self.folder / "bin")}
        parameters = [f"{key.removeprefix('OCF_RESKEY_')}={value}" for key, value in env.items() if key.startswith("OCF_RESKEY_")]
        options = [word for parameter in parameters for word in ("-o", parameter)]
        done = subprocess.run([OCF_TESTER, "-v", "-n", "target:0", *options, AGENT], capture_output=True, text=True, timeout=5 * WAIT_S, env=env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(shutil.which("shellcheck"), "there is no shellcheck")
    def test_shellcheck_finds_nothing(self):
        done = subprocess.run(["shellcheck", AGENT], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main()
