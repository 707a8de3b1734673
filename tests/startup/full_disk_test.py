#!/usr/bin/env python3
"""Files on a disk that is really full: nothing is lost, and all goes on once there is space. Exit code 77: this machine lets
nobody mount the small disk."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
INSIDE = "NVMF_TEST_MAY_MOUNT"
PAGE = os.sysconf("SC_PAGE_SIZE")  # a short file on a tmpfs takes one
SKIPPED = 77


def begin_where_mounting_is_possible():
    """Again, in a mount namespace of its own: with a user namespace, or as root without one."""
    for unshare in (["unshare", "-Urm"], ["unshare", "-m"]):
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode == 0:
                os.execvpe("unshare", [*unshare, sys.executable, "-B", *sys.argv], {**os.environ, INSIDE: "yes"})
    print("SKIPPED: neither user namespaces nor root's rights to mount a tmpfs")
    sys.exit(SKIPPED)


if __name__ == "__main__" and INSIDE not in os.environ:
    begin_where_mounting_is_possible()
from place import DaemonTest, NQN, PROGRAM, Running, WAIT_S  # noqa: E402, takes the program off the arguments

FULL = "No space left on device"


class SmallDisk:
    def __init__(self, folder, pages):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={pages * PAGE},huge=never", "none", str(self.folder)], check=True)
        self.filler = self.folder / "filler"

    def fill(self, pages_left=0):
        """Then only so much is free."""
        with open(self.filler, "wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(PAGE))
            filler.truncate(filler.tell() // PAGE * PAGE - pages_left * PAGE)

    def clear(self):
        self.filler.unlink(missing_ok=True)


class FullDisk(DaemonTest):
    def disk(self, pages=64):
        disk = SmallDisk(pathlib.Path(self.scratch.name) / "disk", pages)
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(disk.folder)], check=True)
        return disk

    def place_with_config_on(self, disk):
        """Only the config is there, and its drop-in b."""
        place = self.place()
        place.config_path = disk.folder / "config.json"
        drop_in = disk.folder / "conf.d" / "b.json"
        drop_in.parent.mkdir()
        drop_in.write_text(json.dumps({"subsystems": [{"nqn": f"{NQN}-b", "allow_any_host": True, "namespaces": [{"memory": "1MiB"}]}]}))
        return place, drop_in

    def change_both(self, place):
        self.assertEqual(place.ask("log-level", "debug").returncode, 0)
        self.assertEqual(place.ask("set", "namespace", f"{NQN}-b", "1", "max_iops=7").returncode, 0)

    def test_a_save_takes_effect_as_a_whole_or_not_at_all_however_much_space_there_is(self):
        disk = self.disk()
        place, drop_in = self.place_with_config_on(disk)
        place.command()
        files = [place.config_path, drop_in]
        old = [file.read_text() for file in files]
        copies = [pathlib.Path(f"{file}~") for file in files]
        saved = []
        with Running(place, namespaces=2):
            for pages in range(8):
                disk.clear()
                for file, copy, text in zip(files, copies, old):
                    file.write_text(text)
                    copy.unlink(missing_ok=True)
                self.assertEqual(place.ask("reload").returncode, 0)
                self.change_both(place)
                disk.fill(pages)
                done = place.ask("save")
                saved.append(done.returncode == 0)
                new = [file.read_text() for file in files]
                if saved[-1]:
                    self.assertTrue(all(one != other for one, other in zip(old, new)), pages)
                    self.assertEqual(self.status(place)["unsaved_changes"], [])
                else:
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(FULL, done.stderr)
                    self.assertIn(str(disk.folder), done.stderr)
                    self.assertEqual(new, old, pages)
                    self.assertEqual(len(self.status(place)["unsaved_changes"]), 2)
                for copy, text in zip(copies, old):
                    self.assertIn(copy.read_text() if copy.exists() else text, (text,), pages)
                self.assertEqual(list(disk.folder.rglob(".*")), [], pages)
        self.assertEqual(saved, sorted(saved), "more space, and saving fails again")
        self.assertEqual((saved[0], saved[-1]), (False, True))

    def test_a_save_that_failed_succeeds_once_there_is_space(self):
        disk = self.disk()
        place, drop_in = self.place_with_config_on(disk)
        with Running(place, namespaces=2):
            self.change_both(place)
            disk.fill()
            self.assertEqual(place.ask("save").returncode, 1)
            self.assertEqual(place.ask("reload").returncode, 0)  # what was not saved can still be undone
            self.change_both(place)
            disk.clear()
            self.assertEqual(json.loads(place.ask("save").stdout)["files"], [str(place.config_path), str(drop_in)])
        self.assertEqual(json.loads(place.config_path.read_text())["log_level"], "debug")
        self.assertEqual(json.loads(drop_in.read_text())["subsystems"][0]["namespaces"][0]["max_iops"], 7)

    def test_state_that_finds_no_space_is_told_and_kept_when_there_is_some(self):
        disk = self.disk()
        place = self.place()
        image = place.folder / "image"
        image.write_bytes(bytes(1 << 20))
        place.config["state_dir"] = str(disk.folder / "state")
        place.config["subsystems"][0]["namespaces"] = [{"file": str(image), "uuid": "3c1e2f4a-0000-4000-8000-000000000001"}]
        disk.fill()
        with Running(place):
            end = time.monotonic() + WAIT_S
            while not self.status(place)["state_dir_fault"]:
                self.assertLess(time.monotonic(), end, "the fault is not told")
                time.sleep(0.05)
            status = self.status(place)
            self.assertIn(FULL, status["state_dir_fault"])
            self.assertEqual(len(status["unsaved_identifiers"]), 1)
            self.assertIn(FULL, status["unsaved_identifiers"][0])
            self.assertEqual(place.namespaces()[0]["state"], "served")
            self.assertEqual(place.ask("status", "--exit-code").returncode, 3)
            disk.clear()
            while self.status(place)["state_dir_fault"] or self.status(place)["unsaved_identifiers"]:
                self.assertLess(time.monotonic(), end, "the daemon does not try again")
                time.sleep(0.2)
        other = place.folder / "other"
        other.write_bytes(bytes(1 << 20))
        other.rename(image)
        with Running(place):  # what was kept tells the image from another one
            self.assertEqual(place.namespaces()[0]["state"], "missing")

    def test_half_a_backup_is_not_left(self):
        disk = self.disk()
        place = self.place()
        with Running(place):
            pass
        disk.fill()
        backup = disk.folder / "backup"
        done = subprocess.run([PROGRAM, "backup", str(backup), "--config", str(place.config_path)], capture_output=True, text=True,
                              timeout=WAIT_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn(FULL, done.stderr)
        self.assertEqual([path.name for path in disk.folder.iterdir()], ["filler"])


if __name__ == "__main__":
    unittest.main()
