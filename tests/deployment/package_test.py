#!/usr/bin/env python3
"""What the package's scripts do to the config directory and to the service. Exit code 77: only root can try it."""

import grp
import os
import pathlib
import pwd
import re
import stat
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77
SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "docker/debian"
USER = "games"  # for the daemon's, who is not there; on every Debian


class Package(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name).resolve()
        self.etc = self.folder / "etc"
        self.drop_ins = self.etc / "conf.d"
        # As dpkg unpacks them.
        for directory in (self.etc, self.drop_ins):
            directory.mkdir()
            directory.chmod(0o755)
        self.config = self.etc / "config.json"
        self.config.write_text("{}")
        commands = self.folder / "bin"
        commands.mkdir()
        for name in ("systemd-sysusers", "deb-systemd-helper"):
            (commands / name).write_text("#!/bin/sh\n")
            (commands / name).chmod(0o755)

    def configure(self, former=""):
        """`former`: the version that was there before."""
        self.run_script("postinst", "configure", former)

    def run_script(self, name, *words):
        text = (SCRIPTS / name).read_text().replace("/etc/nvmf-p2p", "@etc@").replace("/run/", f"{self.folder}/run/")
        text = re.sub(r"(?<![\w/-])nvmf-p2p(?=[ \"])", USER, text).replace("@etc@", str(self.etc))
        self.assertNotIn("/etc/nvmf-p2p", text)
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        done = subprocess.run(["sh", "-s", *words], input=text, capture_output=True, text=True, env={**os.environ, "PATH": path})
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def what_becomes_of_the_service(self, state, *scripts):
        """What the scripts have done to it: words of deb-systemd-invoke, or "upgrade". `state`: as systemctl calls it."""
        (self.folder / "run/systemd/system").mkdir(parents=True, exist_ok=True)
        told = self.folder / "told"
        told.write_text("")
        commands = {
            "systemctl": f'case "$1" in is-active) [ {state} = active ];; is-failed) [ {state} = failed ];; esac',
            "deb-systemd-invoke": f'echo "$1" >> {told}',
            USER: f'echo "$1" >> {told}',  # the program's name is replaced, too
        }
        for name, script in commands.items():
            (self.folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
            (self.folder / "bin" / name).chmod(0o755)
        for name, *words in scripts:
            self.run_script(name, *words)
        self.assertEqual([one.name for one in (self.folder / "run").iterdir()], ["systemd"])
        return told.read_text().split()

    def test_an_upgrade_does_not_start_a_service_that_the_operator_has_stopped(self):
        upgrade = [("preinst", "upgrade", "0.1.0"), ("postinst", "configure", "0.1.0")]
        self.assertEqual(self.what_becomes_of_the_service("inactive", *upgrade), [])
        self.assertEqual(self.what_becomes_of_the_service("active", *upgrade), ["upgrade"])
        self.assertEqual(self.what_becomes_of_the_service("failed", *upgrade), ["restart"])

    def test_an_installation_starts_the_service_also_after_a_removal(self):
        self.assertEqual(self.what_becomes_of_the_service("inactive", ("preinst", "install"), ("postinst", "configure", "")), ["start"])
        again = [("preinst", "install", "0.1.0"), ("postinst", "configure", "0.1.0")]
        self.assertEqual(self.what_becomes_of_the_service("inactive", *again), ["start"])

    def check(self, path, owner, group, mode):
        found = path.stat()
        self.assertEqual((pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name, oct(stat.S_IMODE(found.st_mode))),
                         (owner, group, oct(mode)), path)

    def configured_before_drop_ins(self):
        """As a version left it that had none; dpkg has just made their directory."""
        self.configure()
        os.chown(self.drop_ins, 0, 0)
        self.drop_ins.chmod(0o755)

    def test_the_daemon_may_save_after_the_installation(self):
        self.configure()
        self.check(self.etc, "root", USER, 0o775)
        self.check(self.drop_ins, "root", USER, 0o775)
        self.assertEqual(pwd.getpwuid(self.config.stat().st_uid).pw_name, USER)

    def test_the_daemon_may_save_drop_ins_after_an_upgrade_from_a_version_without_them(self):
        self.configured_before_drop_ins()
        self.configure("0.1.0")
        self.check(self.drop_ins, "root", USER, 0o775)
        self.check(self.etc, "root", USER, 0o775)

    def test_an_upgrade_leaves_what_the_operator_has_chosen(self):
        self.configured_before_drop_ins()
        self.drop_ins.chmod(0o750)
        self.configure("0.1.0")
        self.check(self.drop_ins, "root", "root", 0o750)
        self.drop_ins.chmod(0o755)
        self.etc.chmod(0o755)  # where the daemon may not save the config file either
        self.configure("0.1.0")
        self.check(self.drop_ins, "root", "root", 0o755)

    def test_an_upgrade_follows_no_link_in_the_place_of_the_directory(self):
        self.configured_before_drop_ins()
        others = self.folder / "others"
        others.mkdir()
        others.chmod(0o755)
        self.drop_ins.rmdir()
        for target in (others, self.folder / "missing"):
            self.drop_ins.symlink_to(target)
            self.configure("0.1.0")
            self.check(others, "root", "root", 0o755)
            self.drop_ins.unlink()
        self.configure("0.1.0")  # nothing is there
        self.assertFalse(self.drop_ins.exists())


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("SKIPPED: only root can give directories to groups")
        sys.exit(SKIPPED)
    sys.dont_write_bytecode = True
    unittest.main()
