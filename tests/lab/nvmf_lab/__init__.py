"""The lab: virtual machines in which everything is real but the silicon. This is what a case may import."""

from . import daemon, fio, initiator, nvmet
from .topology import ONE, TWO, Machine, One, Ssd, Three, Two, Zones

__all__ = ["ONE", "TWO", "Machine", "One", "Ssd", "Three", "Two", "Zones", "daemon", "fio", "initiator", "nvmet"]
