"""Runs in a guest: watches a block device on which I/O goes on all the time, and prints how long no command of it was completed, a line for each
such gap: the time of its end, and its length, in seconds.

usage: gaps.py DEVICE LEAST_S
"""

import sys
import time

LOOK_S = 0.05


def main(device: str, least_s: float) -> None:
    with open(f"/sys/block/{device}/stat") as statistics:
        last, before = time.monotonic(), None
        while True:
            statistics.seek(0)
            now, completed = time.monotonic(), done(statistics.read())
            if completed != before:
                if before is not None and now - last >= least_s:
                    print(f"{now:.2f} {now - last:.2f}", flush=True)
                last, before = now, completed
            time.sleep(LOOK_S)


def done(statistics: str) -> int:
    """Reads and writes that were completed: the kernel's block/stat, fields 1 and 5."""
    fields = statistics.split()
    return int(fields[0]) + int(fields[4])


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
