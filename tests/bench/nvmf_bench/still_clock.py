"""Makes the emulated SSD answer in no time of the guest's.

QEMU's devices work in threads beside the virtual CPU's, so a guest sees a disk whose latency, in instructions, is whatever the machine's scheduler
makes of it. Here all of QEMU shares one CPU of the machine, and the threads of the devices go before the virtual CPU's: what the guest asks of
a device is done before its next instruction.
"""

import os

from nvmf_lab.guest import Guest

PRIORITY = 1


def make_devices_instant(guest: Guest) -> str:
    """Returns what was wrong, or nothing."""
    virtual_cpus = {cpu["thread-id"] for cpu in guest.qmp("query-cpus-fast")}
    process = _process_of(next(iter(virtual_cpus)))
    cpu = max(os.sched_getaffinity(0))
    try:
        for thread in map(int, os.listdir(f"/proc/{process}/task")):
            os.sched_setaffinity(thread, {cpu})
            if thread not in virtual_cpus:  # threads that these make inherit it
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError as error:
        return f"QEMU's devices could not be given priority over its CPU ({error}): the SSD's latency depends on this machine; run as root"
    return ""


def _process_of(thread: int) -> int:
    with open(f"/proc/{thread}/status") as file:
        return int(next(line for line in file if line.startswith("Tgid:")).split()[1])
