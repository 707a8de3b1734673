"""One Debian suite seen through apt, with its own sources list and state: the machine's own apt is only read."""

import os
import pathlib
import re

from . import programs
from .errors import LabError

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

CONFIGURATION = """\
Dir::State "{home}/state";
Dir::State::status "{home}/state/status";
Dir::Cache "{home}/cache";
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "{user}";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


class Suite:
    """A suite such as trixie-backports. `refresh` needs the network; everything else reads what it brought."""

    def __init__(self, suite: str, home: pathlib.Path):
        self.suite = suite
        self.home = home

    def refresh(self) -> None:
        """Fetch the suite's package index; apt verifies its signature."""
        self._write_configuration()
        programs.output_of("apt-get", *self._options(), "--error-on=any", "update")

    def candidate(self, package: str) -> dict[str, str]:
        """The newest version's record of a package, by field name."""
        record = programs.output_of("apt-cache", *self._options(), "--no-all-versions", "show", package)
        return dict(re.findall(r"^([A-Za-z-]+): (.*)$", record, re.MULTILINE))

    def download(self, packages: list[str], folder: pathlib.Path) -> list[pathlib.Path]:
        """Fetch packages into a folder; apt checks their hashes against the signed index."""
        programs.output_of("apt-get", *self._options(), "download", *packages, cwd=str(folder))
        return sorted(folder.glob("*.deb"))

    def download_all(self, packages: list[str], folder: pathlib.Path) -> list[pathlib.Path]:
        """Fetch packages and everything they depend on, as for a machine that has none of it."""
        (folder / "partial").mkdir(parents=True, exist_ok=True)
        wanted = ["--yes", "--no-install-recommends", "--download-only", "-o", f"Dir::Cache::archives={folder}"]
        programs.output_of("apt-get", *self._options(), *wanted, "install", *packages)
        return sorted(folder.glob("*.deb"))

    def _options(self) -> list[str]:
        return ["-q", "-c", str(self.home / "apt.conf")]

    def _write_configuration(self) -> None:
        if not os.path.exists(KEYRING):
            raise LabError(f"{KEYRING} is missing, so nothing of Debian can be verified: apt-get install debian-archive-keyring")
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        (self.home / "state/status").touch()
        (self.home / "sources.list").write_text(f"deb [signed-by={KEYRING}] {debian_mirror()} {self.suite} main\n")
        # Root's cache is often closed to apt's sandbox user, and apt would only warn about it at each call.
        user = "root" if os.getuid() == 0 else "_apt"
        (self.home / "apt.conf").write_text(CONFIGURATION.format(home=self.home, user=user))


def download_missing(packages: list[str], folder: pathlib.Path) -> list[pathlib.Path]:
    """Fetch packages of this machine's own release, and of what they depend on that which is not installed here."""
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    wanted = ["--yes", "--no-install-recommends", "--download-only", "-o", f"Dir::Cache::archives={folder}"]
    programs.output_of("apt-get", "-q", *wanted, "install", *packages)
    return sorted(folder.glob("*.deb"))


def debian_mirror() -> str:
    """The address of the Debian archive this machine's own apt uses."""
    listing = programs.output_of(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"
    )
    for line in listing.splitlines():
        uri, release, component = line.split()
        if component == "main" and not release.endswith("-security"):
            return uri
    raise LabError("this machine's apt knows no Debian archive: add one to /etc/apt/sources.list.d and run apt-get update")
