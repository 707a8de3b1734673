"""The two ways to measure."""

import dataclasses

from nvmf_lab import One, Ssd
from nvmf_lab.topology import Topology

CMB_MIB = 64


@dataclasses.dataclass(frozen=True)
class Mode:
    name: str
    counted: bool
    """Guest time is the number of executed instructions: noise of this machine has no part in it."""
    vcpus: int
    rounds: int
    warmup_s: float
    window_s: float

    def topology(self, ssds: int) -> Topology:
        return One(vcpus=self.vcpus, icount=self.counted, ssds=[Ssd(cmb_mib=CMB_MIB)] * ssds)


MODES = {
    "counted": Mode("counted", counted=True, vcpus=1, rounds=3, warmup_s=0.05, window_s=0.25),
    "wall": Mode("wall", counted=False, vcpus=2, rounds=5, warmup_s=1, window_s=3),
}
