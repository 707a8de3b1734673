"""Runs in a guest: connects to a subsystem, writes and reads its namespaces and disconnects, so many times. Through the kernel's own files, as
nvme-cli does: starting programs is what takes the time on an emulated CPU.

usage: reconnect.py ADDRESS NQN NAMESPACES ROUNDS
"""

import glob
import mmap
import os
import re
import sys
import time

BLOCK_BYTES, BLOCKS = 128 << 10, 8
WAIT_S = 120


def main(address: str, nqn: str, namespaces: int, rounds: int) -> None:
    buffer = mmap.mmap(-1, BLOCK_BYTES)  # O_DIRECT wants its alignment
    for _ in range(rounds):
        controller = connect(address, nqn)
        for device in wait_for_devices(controller, namespaces):
            write_and_read(device, buffer)
        with open(f"/sys/class/nvme/{controller}/delete_controller", "w") as file:
            file.write("1")
    print(f"{rounds} rounds")


def connect(address: str, nqn: str) -> str:
    """The new controller's name."""
    hostnqn, hostid = (open(f"/etc/nvme/{name}").read().strip() for name in ("hostnqn", "hostid"))
    fabrics = os.open("/dev/nvme-fabrics", os.O_RDWR)
    try:
        os.write(fabrics, f"nqn={nqn},transport=rdma,traddr={address},trsvcid=4420,hostnqn={hostnqn},hostid={hostid}".encode())
        answer = os.read(fabrics, 4096).decode()
    finally:
        os.close(fabrics)
    return "nvme" + re.search(r"instance=(\d+)", answer)[1]


def wait_for_devices(controller: str, count: int) -> list[str]:
    """With multipath the disk is the subsystem's (nvme1n1), the controller only has a path (nvme1c2n1)."""
    deadline = time.monotonic() + WAIT_S
    while True:
        paths = glob.glob(f"/sys/class/nvme/{controller}/nvme*n*")
        devices = sorted("/dev/" + re.sub(r"c\d+n", "n", os.path.basename(path)) for path in paths)
        if len(devices) == count and all(map(os.path.exists, devices)):
            return devices
        if time.monotonic() > deadline:
            raise SystemExit(f"{controller} shows {devices}, not {count} namespaces")
        time.sleep(0.02)


def write_and_read(device: str, buffer: mmap.mmap) -> None:
    disk = os.open(device, os.O_RDWR | os.O_DIRECT)
    try:
        for move in (os.pwritev, os.preadv):
            for block in range(BLOCKS):
                if move(disk, [buffer], block * BLOCK_BYTES) != BLOCK_BYTES:
                    raise SystemExit(f"{device}: {move.__name__} of block {block} was short")
    finally:
        os.close(disk)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
