"""Programs of another Debian release, for those that this machine's release does not have: unpacked below the lab's cache, run by chroot."""

import fcntl
import os
import pathlib
import shutil

from .apt import Suite
from .guest import Guest
from .kernel import cache_folder
from .layer import unpack


class Userland:
    """A root folder with some packages of a suite and all that they depend on."""

    def __init__(self, name: str, suite: str, packages: list[str]):
        self._suite, self._packages = suite, packages
        self._home = cache_folder() / "userlands" / name

    def fetch(self) -> pathlib.Path:
        """The root folder; the network is used only when the cache has none."""
        self._home.mkdir(parents=True, exist_ok=True)
        root = self._home / "root"
        with open(self._home / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not root.exists():
                suite = Suite(self._suite, self._home / "apt")
                suite.refresh()
                unpack(suite.download_all(self._packages, self._home / "debs"), self._home / "root.part")
                os.rename(self._home / "root.part", root)
                shutil.rmtree(self._home / "debs")
        return root

    def enter(self, guest: Guest) -> str:
        """Make it ready in a guest; returns what to put in front of a command there."""
        root = self.fetch()
        guest.run(
            f"cd {root}; for folder in dev proc sys run tmp etc/nvme results; do mkdir -p $folder; mount --bind /$folder $folder; done; "
            "mkdir -p var/lib; echo root:x:0:0:root:/:/bin/sh >etc/passwd; echo root:x:0: >etc/group"
        )
        return f"env LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1 chroot {root}"
