#include "target/backend/sysfs.h"

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string_view>

namespace nvmf::backend::sysfs {
namespace {

namespace fs = std::filesystem;

// DOMAIN:BUS:DEVICE.FUNCTION
bool is_pci_address(const std::string& name) {
  unsigned part[4];
  int used = 0;
  return std::sscanf(name.c_str(), "%8x:%2x:%2x.%1x%n", &part[0], &part[1], &part[2], &part[3], &used) == 4 &&
         static_cast<size_t>(used) == name.size();
}

// The device nearest to the disk: bridges come before it in the path.
std::optional<std::string> last_pci_address(const fs::path& path) {
  std::optional<std::string> found;
  for (const fs::path& part : path)
    if (is_pci_address(part.string())) found = part.string();
  return found;
}

// A multipath disk is below its subsystem, which has links to its controllers.
std::optional<std::string> pci_address_of_subsystem(const fs::path& subsystem) {
  std::set<std::string> addresses;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(subsystem, error)) {
    if (!entry.is_symlink(error)) continue;
    const auto address = read_text(entry.path() / "address");
    if (address && is_pci_address(*address)) addresses.insert(*address);
  }
  if (addresses.size() != 1) return std::nullopt;
  return *addresses.begin();
}

// "nvme" and a number.
bool is_controller(const std::string& name) {
  constexpr std::string_view kPrefix = "nvme";
  return name.size() > kPrefix.size() && name.starts_with(kPrefix) &&
         name.find_first_not_of("0123456789", kPrefix.size()) == std::string::npos;
}

std::optional<std::string> controller_in_path(const fs::path& path) {
  std::optional<std::string> found;
  for (const fs::path& part : path)
    if (is_controller(part.string())) found = part.string();
  return found;
}

std::optional<std::string> first_controller_of_subsystem(const fs::path& subsystem) {
  std::optional<std::string> first;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(subsystem, error)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_symlink(error) && is_controller(name) && (!first || name < *first)) first = name;
  }
  return first;
}

// In the order in which they are believed: worldwide names; mapped devices, arrays and loop devices; the serial number
// of virtio-blk; the register of an MMC or SD card.
constexpr const char* kNames[] = {"wwid",   "device/wwid", "dm/uuid", "md/uuid", "loop/backing_file",
                                  "serial", "device/cid"};

// An array without a superblock has a UUID of zeros, and so has whatever was never given one.
bool is_name(const std::string& text) { return text.find_first_not_of("0- ") != std::string::npos; }

// Its place, too, for a new partition may get the number of a former one.
std::optional<std::string> name_of_partition(const std::string& partition, uint64_t number) {
  std::error_code error;
  const fs::path directory = fs::canonical(partition, error);
  if (error) return std::nullopt;
  const auto disk = lasting_name(directory.parent_path().string());
  const auto start = read_number(partition + "/start");
  if (!disk || !start) return std::nullopt;
  return *disk + ", partition " + std::to_string(number) + " from sector " + std::to_string(*start);
}

std::optional<std::string> name_of_rados_image(const std::string& disk) {
  std::string name = "rbd";
  for (const char* part : {"cluster_fsid", "pool_id", "image_id", "snap_id"}) {
    const auto text = read_text(disk + "/device/" + part);
    if (!text) return std::nullopt;
    name += " " + *text;
  }
  return name;
}

}  // namespace

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<uint64_t> read_number(const std::string& path) {
  const auto text = read_text(path);
  uint64_t number = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc())
    return std::nullopt;
  return number;
}

std::optional<std::string> block_queue(unsigned major, unsigned minor, const std::string& root) {
  const fs::path device = fs::path(root) / "dev/block" / (std::to_string(major) + ":" + std::to_string(minor));
  std::error_code error;
  const fs::path directory = fs::canonical(device, error);
  if (error) return std::nullopt;
  for (const fs::path& disk : {directory, directory.parent_path()})
    if (fs::is_directory(disk / "queue", error)) return (disk / "queue").string();
  return std::nullopt;
}

std::string disk_of_queue(const std::string& queue, const std::string& root) {
  return (fs::path(root) / "class/block" / fs::path(queue).parent_path().filename()).string();
}

std::optional<std::string> disk_of_generic(const std::string& name, const std::string& root) {
  if (name.substr(0, 2) != "ng") return std::nullopt;
  const fs::path disk = fs::path(root) / "class/block" / ("nvme" + name.substr(2));
  std::error_code error;
  return fs::is_directory(disk, error) ? std::optional(disk.string()) : std::nullopt;
}

std::optional<std::string> lasting_name(const std::string& disk) {
  if (const auto number = read_number(disk + "/partition")) return name_of_partition(disk, *number);
  for (const char* attribute : kNames)
    if (auto name = read_text(disk + "/" + attribute); name && is_name(*name)) return name;
  return name_of_rados_image(disk);
}

// The one in brackets is active: "[mq-deadline] none".
std::optional<std::string> needless_scheduler(const std::string& queue) {
  const std::string schedulers = read_text(queue + "/scheduler").value_or(std::string());
  const size_t begin = schedulers.find('[') + 1;
  const size_t end = schedulers.find(']');
  if (begin == 0 || end == std::string::npos || read_number(queue + "/rotational") != 0) return std::nullopt;
  const std::string name = schedulers.substr(begin, end - begin);
  return name == "none" ? std::nullopt : std::optional(name);
}

std::optional<std::string> pci_address(const std::string& directory) {
  std::error_code error;
  const fs::path path = fs::canonical(directory, error);
  if (error) return std::nullopt;
  if (auto address = last_pci_address(path)) return address;
  return pci_address_of_subsystem(path.parent_path());
}

std::optional<std::string> nvme_controller(const std::string& directory) {
  std::error_code error;
  const fs::path path = fs::canonical(directory, error);
  if (error) return std::nullopt;
  auto name = controller_in_path(path);
  if (!name) name = first_controller_of_subsystem(path.parent_path());
  return name ? std::optional("/dev/" + *name) : std::nullopt;
}

}  // namespace nvmf::backend::sysfs
