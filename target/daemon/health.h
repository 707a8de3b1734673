// The health of the SSDs behind the namespaces, read at intervals without ever waiting for an SSD; and the target's own
// counts where there is no SSD. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "target/backend/nvme_admin.h"
#include "target/core/subsystem/health.h"
#include "target/core/subsystem/target.h"
#include "target/daemon/storage.h"
#include "transport/rdma/asio_poller.h"

namespace nvmf::daemon {

// Hosts never see values of an SSD that are older than the sum of both, unless the SSD stops answering: then they see
// the last values, with the warning that the subsystem's reliability is degraded.
struct HealthTiming {
  std::chrono::seconds interval{10};
  std::chrono::seconds patience{20};
};

// Null, which is logged, when the health of no SSD can be read.
std::unique_ptr<backend::NvmeAdmin> open_nvme_admin();

class HealthMonitor final : public core::HealthSource {
 public:
  using Namespaces = std::vector<std::unique_ptr<ServedNamespace>>;

  // `namespaces`: those in service. `admin`: null when the health of no SSD can be read. `after` runs when hosts may
  // have been notified.
  HealthMonitor(boost::asio::io_context& io, core::Target& target, const Namespaces& namespaces,
                std::unique_ptr<backend::NvmeAdmin> admin, std::function<void()> after, HealthTiming timing = {});
  // Does not wait for any SSD.
  ~HealthMonitor() override;

  std::vector<nvme_smart_log> health(const core::Subsystem& subsystem) const override;

  // Reads the health of all SSDs, except those that have not answered yet, now and at every interval.
  void refresh();

 private:
  using Clock = std::chrono::steady_clock;
  struct Ssd;

  Ssd* find(const std::string& controller) const;
  nvme_smart_log health_of(const ServedNamespace& served) const;
  void follow_namespaces();
  void ask(Ssd& ssd);
  void answered(Ssd& ssd, int result);
  void wait_for_answers();
  void wait_for_interval();
  void fell_silent(Ssd& ssd);
  void tell_hosts();

  core::Target& target_;
  const Namespaces& namespaces_;
  std::unique_ptr<backend::NvmeAdmin> admin_;
  std::function<void()> after_;
  HealthTiming timing_;
  std::vector<std::unique_ptr<Ssd>> ssds_;
  std::optional<rdma::WatchedDescriptor> answers_;
  boost::asio::steady_timer timer_;
};

}  // namespace nvmf::daemon
