"""What a guest is like between two cases, and how it is made so again. Reads /proc and /sys itself: programs are slow to start on an emulated CPU."""

import fcntl
import glob
import os
import re
import shutil
import signal
import struct
import subprocess
import time

FOLDERS = ("/tmp", "/run", "/etc", "/srv", "/root", "/mnt", "/dev/shm", "/var/lib", "/var/tmp", "/var/cache")
IDENTITY = "/etc/nvme"
NVMET = "/sys/kernel/config/nvmet"
BLKDISCARD, BLKGETSIZE64 = 0x1277, 0x80081272
# Of block devices that a case may add: how their names begin, and the module that takes them along.
MODULES = {"loop": "loop", "nullb": "null_blk", "sd": "scsi_debug"}
WAIT_S = 30
INIT = 1


def survey() -> dict[str, list[str]]:
    """By kind of thing, what the guest has of it. Modules that were loaded stay, and are none of it."""
    return {
        "mounts": mounts(),
        "network devices": [f"{name} flags {text(name + '/flags')} MTU {text(name + '/mtu')}" for name in sorted(glob.glob("/sys/class/net/*"))],
        "addresses": addresses(),
        "RNICs": sorted(glob.glob("/sys/class/infiniband/*")),
        "NVMe controllers": [f"{name} {text(name + '/transport')}" for name in sorted(glob.glob("/sys/class/nvme/nvme*"))],
        "block devices": sorted(glob.glob("/sys/block/*")),
        "the kernel's target": sorted(glob.glob(f"{NVMET}/*/*")),
        "programs": sorted(program(pid) for pid in strangers()),
        "files": sorted(f"{folder}/{name}" for folder in FOLDERS if os.path.isdir(folder) for name in os.listdir(folder)),
        "identity": [f"{path}\n{text(path)}" for path in sorted(glob.glob(f"{IDENTITY}/*"))],
    }


def clean(was: dict[str, list[str]]) -> list[str]:
    """End and remove what a case left since the survey `was`; what is still other than it was then, in words."""
    known = {entry.split()[0] for entry in was["programs"]}
    end_programs(known)
    disconnect()
    stop_kernel_target()
    for mount in reversed([mount for mount in mounts() if mount not in was["mounts"]]):
        run("umount", "-l", mount.split(" ", 1)[1])
    remove_block_devices(was["block devices"])
    remove_addresses(was["addresses"])
    for path in set(survey()["files"]) - set(was["files"]):
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    restore_identity(was["identity"])
    for disk in glob.glob("/sys/block/nvme*"):
        discard("/dev/" + os.path.basename(disk))
    now = survey()
    return [f"{kind}: {entry} {word}" for kind in now for word, entry in changes(was[kind], now[kind])]


def run(*command: str) -> str:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def changes(was: list[str], now: list[str]) -> list[tuple[str, str]]:
    return [("is new", entry) for entry in now if entry not in was] + [("is gone", entry) for entry in was if entry not in now]


def text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:  # gone meanwhile
        return ""


def mounts() -> list[str]:
    """Kind and place, in the order in which they were mounted. Without configfs, which stays where a module has brought it."""
    found = []
    for line in text("/proc/self/mountinfo").splitlines():
        words = line.split()
        kind = words[words.index("-") + 1]
        if kind != "configfs":
            found.append(f"{kind} {words[4]}")
    return found


def addresses() -> list[str]:
    """Without IPv6's link-local ones, which the kernel makes in its own time."""
    local = re.findall(r"-- ([\d.]+)\n\s+/32 host LOCAL", text("/proc/net/fib_trie"))
    six = [line.split() for line in text("/proc/net/if_inet6").splitlines()]
    return sorted({*local, *(f"{words[0]} {words[5]}" for words in six if not words[0].startswith("fe80"))})


def strangers() -> list[int]:
    """The processes that are neither process 1, nor this one, nor the kernel's."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            os.readlink(f"/proc/{pid}/exe")
        except OSError:  # a thread of the kernel, a zombie, or gone
            continue
        if int(pid) not in (INIT, os.getpid()):
            found.append(int(pid))
    return found


def program(pid: int) -> str:
    return f"{pid} {text(f'/proc/{pid}/comm')}"


def end_programs(known: set[str]) -> None:
    deadline = time.monotonic() + WAIT_S
    while (left := [pid for pid in strangers() if str(pid) not in known]) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # One whose command a target never answers ends when its controller goes.
        disconnect()
        time.sleep(0.05)


def disconnect() -> None:
    """Delete every controller of a fabric; the write returns when it is gone."""
    for controller in glob.glob("/sys/class/nvme/nvme*"):
        if text(controller + "/transport") != "pcie":
            try:
                with open(controller + "/delete_controller", "w") as file:
                    file.write("1")
            except OSError:  # it goes already
                pass


def stop_kernel_target() -> None:
    """Take everything out of nvmet, from the outside in."""
    for link in (*glob.glob(f"{NVMET}/ports/*/subsystems/*"), *glob.glob(f"{NVMET}/subsystems/*/allowed_hosts/*")):
        os.unlink(link)
    for namespace in glob.glob(f"{NVMET}/subsystems/*/namespaces/*"):
        with open(f"{namespace}/enable", "w") as file:
            file.write("0")
    for kind in ("ports/*", "subsystems/*/namespaces/*", "subsystems/*", "hosts/*"):
        for folder in glob.glob(f"{NVMET}/{kind}"):
            os.rmdir(folder)


def remove_block_devices(was: list[str]) -> None:
    """Mapped devices first, for they may lie on the others."""
    names = [os.path.basename(path) for path in glob.glob("/sys/block/*") if path not in was]
    if any(name.startswith("dm-") for name in names):
        run("dmsetup", "remove_all", "--force")
    if any(name.startswith("loop") for name in names):
        run("losetup", "--detach-all")
    for kind, module in MODULES.items():
        if any(name.startswith(kind) for name in names):
            run("modprobe", "-r", module)


def remove_addresses(was: list[str]) -> None:
    """Of IPv4."""
    for address in set(addresses()) - set(was):
        for line in run("ip", "-o", "address", "show", "to", address).splitlines():
            _, interface, _, with_length, *_ = line.split()
            run("ip", "address", "del", with_length, "dev", interface)


def restore_identity(was: list[str]) -> None:
    wanted = dict(entry.split("\n", 1) for entry in was)
    for path in glob.glob(f"{IDENTITY}/*"):
        if path not in wanted:
            os.unlink(path)
    for path, content in wanted.items():
        if text(path) != content:
            with open(path, "w") as file:
                file.write(content + "\n")


def discard(disk: str) -> None:
    """Leave no byte of a case on an SSD."""
    opened = os.open(disk, os.O_RDWR)
    try:
        size = bytearray(8)
        fcntl.ioctl(opened, BLKGETSIZE64, size)
        fcntl.ioctl(opened, BLKDISCARD, struct.pack("QQ", 0, *struct.unpack("Q", size)))
    finally:
        os.close(opened)
