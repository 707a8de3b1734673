// What sysfs tells about disks. Every function takes the place where sysfs is mounted, so that tests can build their
// own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nvmf::backend::sysfs {

inline constexpr char kRoot[] = "/sys";

// An attribute file's text without the line's end; none when it does not exist.
std::optional<std::string> read_text(const std::string& path);
std::optional<uint64_t> read_number(const std::string& path);

// The directory of a block device's request queue (of the whole disk, for a partition); none if it is not a block
// device.
std::optional<std::string> block_queue(unsigned major, unsigned minor, const std::string& root = kRoot);

// The directory of the disk that a request queue is of, by its short name: "/sys/class/block/sda".
std::string disk_of_queue(const std::string& queue, const std::string& root = kRoot);

// The directory of the disk beside an NVMe generic device: "nvme0n1" for "ng0n1".
std::optional<std::string> disk_of_generic(const std::string& name, const std::string& root = kRoot);

// Identifies a disk, wherever it is plugged in and whatever its device is called: its worldwide name, the UUID of a
// mapped device or an array, the file behind a loop device, the serial number of virtio-blk, the image of Ceph. Of a
// partition its disk's, with the partition's number and place. Takes the directory of the disk or partition. None where
// nothing lasts: zram, network block devices, DRBD, virtio disks without a serial number.
std::optional<std::string> lasting_name(const std::string& disk);

// The I/O scheduler of a request queue, if one is active on a disk that does not rotate: there it only costs time.
std::optional<std::string> needless_scheduler(const std::string& queue);

// The PCI address ("0000:3b:00.0") of the one controller behind a disk or generic device, given its directory in sysfs
// (links are followed). None for a device that is not on PCI, or that several controllers serve.
std::optional<std::string> pci_address(const std::string& directory);

// The device of the controller behind a disk or generic device, given its directory in sysfs as above: "/dev/nvme0".
// The first of several controllers. None if it is not an SSD.
std::optional<std::string> nvme_controller(const std::string& directory);

}  // namespace nvmf::backend::sysfs
