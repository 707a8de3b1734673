"""Runs in a guest: sends Identify Controller to a controller (/dev/nvme0) again and again; prints when each was answered."""

import ctypes
import datetime
import fcntl
import struct
import sys
import time

NVME_IOCTL_ADMIN_CMD = 0xC0484E41
IDENTIFY = 0x06
CNS_CONTROLLER = 1

data = ctypes.create_string_buffer(4096)
# struct nvme_admin_cmd: opcode, nsid, the data's address and length, CDW10.
command = struct.pack("=BBHIIIQQIIIIIIIIII", IDENTIFY, 0, 0, 0, 0, 0, 0, ctypes.addressof(data), 0, len(data), CNS_CONTROLLER, 0, 0, 0, 0, 0, 0, 0)
with open(sys.argv[1], "rb") as controller:
    while True:
        fcntl.ioctl(controller, NVME_IOCTL_ADMIN_CMD, bytearray(command))
        print(datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], flush=True)
        time.sleep(0.02)
