#include "target/daemon/device_opener.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>

#include "target/backend/generic_device.h"
#include "target/daemon/served_storage_files.h"
#include "target/daemon/spawn.h"

namespace nvmf::daemon {
namespace {

bool is_same(const backend::DeviceSpec& a, const backend::DeviceSpec& b) {
  const auto all = [](const backend::DeviceSpec& spec) {
    return std::tie(spec.kind, spec.path, spec.serial, spec.nsid, spec.size_bytes, spec.block_bytes, spec.zero_copy);
  };
  return all(a) == all(b);
}

std::string name_of(const backend::DeviceSpec& spec) {
  return spec.serial.empty() ? spec.path : "the SSD with serial number \"" + spec.serial + "\"";
}

// With the path of an SSD that is named by its serial number.
backend::DeviceSpec located(backend::DeviceSpec spec, const std::string& root) {
  if (spec.serial.empty()) return spec;
  backend::SsdSearch search = backend::find_by_serial(spec.serial, spec.nsid, root);
  const std::string message = search.problem + ": " + search.remedy;
  if (search.is_absent) throw DeviceAbsent(message);
  if (search.path.empty()) throw std::runtime_error(message);
  spec.path = std::move(search.path);
  return spec;
}

// SSDs may change places between the search and the opening.
void require_serial(const backend::DeviceSpec& spec, const backend::DeviceInfo& device) {
  if (!spec.serial.empty() && !backend::is_same_serial(device.serial, spec.serial))
    throw DeviceAbsent(spec.path + " is the SSD with serial number \"" + device.serial + "\" now, not \"" +
                       spec.serial + "\" as when it was looked for");
}

// Several paths may lead to one file.
std::string storage_of(const backend::DeviceInfo& device) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(device.storage, error);
  return error ? device.storage : path.string();
}

// To a broken link, too: what it names is not there.
void require_existence(const std::string& path) {
  std::error_code error;
  if (!path.empty() && !std::filesystem::exists(path, error) &&
      (!error || error == std::errc::no_such_file_or_directory))
    throw DeviceAbsent(path + " does not exist");
}

}  // namespace

// Its thread writes opened and failure, then is_over.
struct DeviceOpener::Opening {
  backend::DeviceSpec spec;
  OpenedDevice opened;
  std::exception_ptr failure;
  std::atomic<bool> is_over = false;
};

DeviceOpener::DeviceOpener(boost::asio::io_context& io, DeviceOpenerOptions options)
    : io_(io), options_(std::move(options)), work_(io) {}

boost::asio::awaitable<OpenedDevice> DeviceOpener::open(backend::DeviceSpec spec) {
  std::shared_ptr<Opening> opening = take(spec);
  if (!opening) {
    opening = std::make_shared<Opening>();
    opening->spec = std::move(spec);
    std::function<void()> work = [opening, open = options_.open, root = options_.root, locks = image_locks_] {
      try {
        const backend::DeviceSpec wanted = located(opening->spec, root);
        require_existence(wanted.path);
        if (wanted.kind == backend::DeviceKind::File) opening->opened.lock = locks->lock(wanted.path);
        std::shared_ptr<backend::Device> device = open(wanted);
        require_serial(wanted, device->info());
        opening->opened.identity = identity_of(wanted, device->info());
        opening->opened.storage = storage_of(device->info());
        opening->opened.device = std::move(device);
      } catch (...) {
        opening->failure = std::current_exception();
      }
      opening->is_over = true;
    };
    std::function<void()> late = [this] {
      if (on_late) on_late();
    };
    co_await work_.run(std::move(work), options_.patience, std::move(late));
  }
  if (!opening->is_over) {
    const std::string name = name_of(opening->spec);
    late_.push_back(std::move(opening));
    throw DeviceSilent(name + " does not answer: opening it takes more than " +
                       std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options_.patience).count()) +
                       " s");
  }
  if (opening->failure) std::rethrow_exception(opening->failure);
  co_return std::move(opening->opened);
}

// One that was given up.
std::shared_ptr<DeviceOpener::Opening> DeviceOpener::take(const backend::DeviceSpec& spec) {
  const auto found = std::ranges::find_if(late_, [&](const auto& one) { return is_same(one->spec, spec); });
  if (found == late_.end()) return nullptr;
  std::shared_ptr<Opening> opening = std::move(*found);
  late_.erase(found);
  return opening;
}

void DeviceOpener::close_unwanted() {
  std::erase_if(late_, [this](const auto& one) {
    if (!one->is_over) return false;
    if (one->opened.device) close(std::move(one->opened));
    return true;
  });
}

void DeviceOpener::close(OpenedDevice opened) {
  const auto closing = [](PatientWork& work, OpenedDevice it) -> boost::asio::awaitable<void> {
    std::function<void()> close = [it = std::move(it)]() mutable { it = {}; };
    co_await work.run(std::move(close), std::chrono::milliseconds(0));
  };
  spawn(io_, closing(work_, std::move(opened)), "closing a device");
}

}  // namespace nvmf::daemon
