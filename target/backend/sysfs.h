// What sysfs tells about disks. Every function takes the place where sysfs is mounted, so that tests can build their
// own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nvmf::backend::sysfs {

inline constexpr char kRoot[] = "/sys";

// An attribute file's text without the line's end; none when it is not there.
std::optional<std::string> read_text(const std::string& path);
std::optional<uint64_t> read_number(const std::string& path);

// The directory of a block device's request queue (of the whole disk, for a partition); none for no block device.
std::optional<std::string> block_queue(unsigned major, unsigned minor, const std::string& root = kRoot);

// The directory of the disk beside an NVMe generic device: "nvme0n1" for "ng0n1".
std::optional<std::string> disk_of_generic(const std::string& name, const std::string& root = kRoot);

// What tells a disk from any other, wherever it is plugged in and whatever its device is called: its worldwide name,
// the UUID of a mapped device, or the file behind a loop device. Of the disk's directory; none for most partitions.
std::optional<std::string> lasting_name(const std::string& disk);

// The I/O scheduler of a request queue, where one is at work on a disk that does not rotate: it costs more than it
// gives there.
std::optional<std::string> needless_scheduler(const std::string& queue);

// The PCI address ("0000:3b:00.0") of the one controller behind a disk or generic device, given its directory in sysfs
// (links are followed). None for a device that is not on PCI, or that several controllers serve.
std::optional<std::string> pci_address(const std::string& directory);

// The device of the controller behind a disk or generic device, given its directory in sysfs as above: "/dev/nvme0". Of
// several controllers the first. None for what is no SSD.
std::optional<std::string> nvme_controller(const std::string& directory);

}  // namespace nvmf::backend::sysfs
