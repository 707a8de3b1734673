"""The lab: with counted instructions, a loop takes the same guest time whatever else this machine does."""

from nvmf_lab import One

TOPOLOGY = One(vcpus=1, icount=True, rdma=False)


def test(lab):
    lab.target.write("/tmp/loop.py", LOOP)
    times = [int(lab.target.run("python3 /tmp/loop.py").stdout) for _ in range(5)]
    lab.check(max(times) < 1.2 * min(times), f"the same loop took from {min(times)} to {max(times)} ns of guest time")


LOOP = """
import time
begin = time.monotonic_ns()
for number in range(200000):
    pass
print(time.monotonic_ns() - begin)
"""
