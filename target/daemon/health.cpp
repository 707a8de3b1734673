#include "target/daemon/health.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "target/core/datapath/status_text.h"
#include "target/daemon/figures.h"

namespace nvmf::daemon {
namespace {

struct DataCounts {
  uint64_t commands = 0;
  uint64_t bytes = 0;
};

DataCounts over_all_paths(const std::array<core::PathCounters, core::kDataPaths>& counters) {
  DataCounts counts;
  for (const core::PathCounters& path : counters) {
    counts.commands += path.commands.get();
    counts.bytes += path.bytes.get();
  }
  return counts;
}

}  // namespace

struct HealthMonitor::Ssd : backend::SmartQuestion {
  std::string controller;  // /dev/nvmeX
  backend::Descriptor file;
  HealthMonitor* monitor = nullptr;
  std::optional<nvme_smart_log> known;
  Clock::time_point asked_at;
  bool asked = false;    // a command is outstanding: the kernel may write into the buffer
  bool silent = false;   // it did not answer in time, which has been logged
  bool refused = false;  // the command fails, which has been logged
  bool wanted = true;    // a namespace is on it
};

std::unique_ptr<backend::NvmeAdmin> open_nvme_admin() {
  try {
    return std::make_unique<backend::NvmeAdminRing>();
  } catch (const std::system_error& error) {
    spdlog::warn("hosts cannot see the health of SSDs (log page 02h): {}", error.what());
    return nullptr;
  }
}

HealthMonitor::HealthMonitor(boost::asio::io_context& io, core::Target& target, const Namespaces& namespaces,
                             std::unique_ptr<backend::NvmeAdmin> admin, std::function<void()> after,
                             HealthTiming timing)
    : target_(target),
      namespaces_(namespaces),
      admin_(std::move(admin)),
      after_(std::move(after)),
      timing_(timing),
      timer_(io) {
  if (!admin_) return;
  answers_.emplace(io, admin_->event_fd());
  wait_for_answers();
}

// An SSD with an outstanding command may write into the buffer until the process has ended: that memory is never freed.
HealthMonitor::~HealthMonitor() {
  static auto* const unanswered = std::make_unique<std::vector<std::unique_ptr<Ssd>>>().release();
  for (auto& ssd : ssds_)
    if (ssd->asked) unanswered->push_back(std::move(ssd));
}

HealthMonitor::Ssd* HealthMonitor::find(const std::string& controller) const {
  for (const auto& ssd : ssds_)
    if (ssd->controller == controller) return ssd.get();
  return nullptr;
}

// An SSD with several namespaces counts once.
std::vector<nvme_smart_log> HealthMonitor::health(const core::Subsystem& subsystem) const {
  std::vector<nvme_smart_log> devices;
  std::vector<std::string> seen;
  for (const auto& served : namespaces_) {
    if (served->subsystem != subsystem.nqn()) continue;
    const std::string& controller = served->device->info().controller;
    if (std::ranges::find(seen, controller) != seen.end()) continue;
    devices.push_back(health_of(*served));
    if (const Ssd* ssd = find(controller); ssd != nullptr && ssd->known) seen.push_back(controller);
  }
  return devices;
}

nvme_smart_log HealthMonitor::health_of(const ServedNamespace& served) const {
  if (const Ssd* ssd = find(served.device->info().controller); ssd != nullptr && ssd->known) {
    nvme_smart_log smart = *ssd->known;
    if (ssd->silent) smart.critical_warning |= NVME_SMART_CRIT_DEGRADED;
    return smart;
  }
  const auto counters = counters_of(served);
  const DataCounts reads = over_all_paths(counters->reads);
  const DataCounts writes = over_all_paths(counters->writes);
  return core::health_of_counts(reads.commands, reads.bytes, writes.commands, writes.bytes);
}

void HealthMonitor::refresh() {
  follow_namespaces();
  for (const auto& ssd : ssds_) ask(*ssd);
  tell_hosts();
  wait_for_interval();
}

void HealthMonitor::follow_namespaces() {
  for (const auto& ssd : ssds_) ssd->wanted = false;
  for (const auto& served : namespaces_) {
    const std::string& controller = served->device->info().controller;
    if (controller.empty() || !admin_) continue;
    if (Ssd* ssd = find(controller)) {
      ssd->wanted = true;
      continue;
    }
    auto ssd = std::make_unique<Ssd>();
    ssd->monitor = this;
    ssd->controller = controller;
    ssd->answered = [](backend::SmartQuestion& question, int result) {
      auto& answering = static_cast<Ssd&>(question);
      answering.monitor->answered(answering, result);
    };
    ssds_.push_back(std::move(ssd));
  }
  std::erase_if(ssds_, [](const auto& ssd) { return !ssd->wanted && !ssd->asked; });
}

void HealthMonitor::ask(Ssd& ssd) {
  if (ssd.asked) {
    if (!ssd.silent && Clock::now() - ssd.asked_at >= timing_.patience) fell_silent(ssd);
    return;
  }
  if (!ssd.file.is_open()) ssd.file = backend::Descriptor(open(ssd.controller.c_str(), O_RDONLY | O_CLOEXEC));
  if (!ssd.file.is_open()) return answered(ssd, -errno);
  ssd.asked = admin_->ask(ssd.file.get(), ssd);
  ssd.asked_at = Clock::now();
}

void HealthMonitor::answered(Ssd& ssd, int result) {
  ssd.asked = false;
  if (std::exchange(ssd.silent, false)) spdlog::info("{} answers again", ssd.controller);
  if (result == 0) {
    ssd.known = ssd.page;
    ssd.refused = false;
    return;
  }
  ssd.known.reset();
  ssd.file = backend::Descriptor();  // the path may lead to another device when it is back
  if (std::exchange(ssd.refused, true)) return;
  const std::string why = result < 0 ? std::strerror(-result) : to_string(core::Status(result));
  spdlog::warn("{}: cannot read its health (SMART log page): {}; hosts see the target's own counts instead",
               ssd.controller, why);
}

void HealthMonitor::wait_for_answers() {
  answers_->when_readable([this] {
    admin_->receive();
    tell_hosts();
    wait_for_answers();
  });
}

void HealthMonitor::wait_for_interval() {
  timer_.expires_after(timing_.interval);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) refresh();
  });
}

void HealthMonitor::fell_silent(Ssd& ssd) {
  ssd.silent = true;
  spdlog::warn("{} has not answered for {} s and may be stuck; hosts see its last values and a warning", ssd.controller,
               timing_.patience.count());
  for (const auto& served : namespaces_) {
    if (served->device->info().controller != ssd.controller) continue;
    if (core::Subsystem* subsystem = target_.find_subsystem(served->subsystem))
      subsystem->device_failed(served->wanted.nsid, core::DeviceError::Transient);
  }
}

void HealthMonitor::tell_hosts() {
  for (const auto& subsystem : target_.subsystems()) subsystem->health_changed();
  after_();
}

}  // namespace nvmf::daemon
