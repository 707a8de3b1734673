"""The benchmark: this target beside the kernel's nvmet-rdma, on one device, in one boot of the lab."""
