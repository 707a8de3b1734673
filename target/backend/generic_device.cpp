#include "target/backend/generic_device.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <regex>
#include <system_error>
#include <vector>

#include "target/backend/sysfs.h"

namespace nvmf::backend {
namespace {

struct GenericDevice {
  std::string path;
  std::string ssd;  // its controller, or its subsystem where the kernel knows several controllers of it
  std::string serial;
  uint64_t nsid = 0;
};

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? std::string() : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// By path.
std::vector<GenericDevice> generic_devices(const std::filesystem::path& sysfs) {
  namespace fs = std::filesystem;
  std::vector<GenericDevice> all;
  std::error_code error;
  for (fs::directory_iterator entry(sysfs / "class/nvme-generic", error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code unreadable;
    const std::string name = entry->path().filename().string();
    const fs::path owner = fs::canonical(entry->path(), unreadable).parent_path();
    const std::string disk = "nvme" + name.substr(std::min<size_t>(2, name.size()));
    const auto serial = sysfs::read_text((owner / "serial").string());
    const auto nsid = sysfs::read_number((owner / disk / "nsid").string());
    if (!unreadable && serial && nsid) all.push_back({"/dev/" + name, owner.string(), trimmed(*serial), *nsid});
  }
  std::ranges::sort(all, {}, &GenericDevice::path);
  return all;
}

// «"S1" (/dev/ng0n1), "S2" (/dev/ng1n1, /dev/ng1n2)»
std::string serials_of(const std::vector<GenericDevice>& devices) {
  std::map<std::string, std::string> by_serial;
  for (const GenericDevice& one : devices) {
    std::string& paths = by_serial[one.serial];
    paths += (paths.empty() ? "" : ", ") + one.path;
  }
  std::string text;
  for (const auto& [serial, paths] : by_serial) text += (text.empty() ? "\"" : ", \"") + serial + "\" (" + paths + ")";
  return text;
}

// «/dev/ng0n1, /dev/ng1n1»
std::string paths_of(const std::vector<GenericDevice>& devices) {
  std::string text;
  for (const GenericDevice& one : devices) text += (text.empty() ? "" : ", ") + one.path;
  return text;
}

// «1 (/dev/ng0n1), 2 (/dev/ng0n2)»
std::string nsids_of(const std::vector<GenericDevice>& devices) {
  std::string text;
  for (const GenericDevice& one : devices)
    text += (text.empty() ? "" : ", ") + std::to_string(one.nsid) + " (" + one.path + ")";
  return text;
}

}  // namespace

std::string generic_device_of(const std::string& path, const std::string& root) {
  static const std::regex kDisk("nvme([0-9]+n[0-9]+)");
  namespace fs = std::filesystem;
  const fs::path named = fs::path(root) / fs::path(path).relative_path();
  std::error_code error;
  if (!fs::is_symlink(named, error)) return path;
  const std::string disk = fs::canonical(named, error).filename().string();
  std::smatch match;
  return !error && std::regex_match(disk, match, kDisk) ? "/dev/ng" + match[1].str() : path;
}

bool is_same_serial(const std::string& a, const std::string& b) { return trimmed(a) == trimmed(b); }

SsdSearch find_by_serial(const std::string& serial, uint32_t nsid, const std::string& root) {
  const std::vector<GenericDevice> all = generic_devices(std::filesystem::path(root) / "sys");
  std::vector<GenericDevice> found;
  std::ranges::copy_if(all, std::back_inserter(found),
                       [&](const GenericDevice& one) { return is_same_serial(one.serial, serial); });
  const std::string ssd = "the SSD with serial number \"" + trimmed(serial) + "\"";
  if (found.empty()) {
    const std::string present = serials_of(all);
    return {{},
            true,
            ssd + " is not in this machine",
            "plug it in, or correct the serial number" + (present.empty() ? "" : "; this machine has: " + present)};
  }
  if (std::ranges::any_of(found, [&](const GenericDevice& one) { return one.ssd != found.front().ssd; }))
    return {{},
            false,
            "more than one SSD has the serial number \"" + trimmed(serial) + "\": " + paths_of(found),
            "give the path of the right one instead of the serial number, best one in /dev/disk/by-id"};
  if (nsid == 0 && found.size() > 1)
    return {{}, false, ssd + " has several namespaces", "write one of them as \"nsid\": " + nsids_of(found)};
  const auto chosen = nsid == 0 ? found.begin() : std::ranges::find(found, nsid, &GenericDevice::nsid);
  if (chosen == found.end())
    return {{},
            true,
            ssd + " has no namespace " + std::to_string(nsid),
            "create and attach it, or correct \"nsid\"; the SSD has: " + nsids_of(found)};
  return {chosen->path, false, {}, {}};
}

}  // namespace nvmf::backend
