// An SSD that does not answer when its health is read: hosts see the last values, with a warning, and nothing waits for
// the SSD.
#include "target/daemon/health.h"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <string>
#include <vector>

namespace nvmf::daemon {
namespace {

using std::chrono::seconds;

constexpr char kNqn[] = "nqn.2026-01.io.example:disk";
constexpr char kController[] = "/dev/null";  // can be opened, which is all that the fake wants of it
constexpr uint8_t kWear = 7;                 // Percentage Used
constexpr HealthTiming kPatient{.interval = seconds(3600), .patience = seconds(3600)};
constexpr HealthTiming kImpatient{.interval = seconds(3600), .patience = seconds(0)};

// Holds the commands until the test answers them.
class Ssds : public backend::NvmeAdmin {
 public:
  struct Asked {
    std::deque<backend::SmartQuestion*> waiting;
    int times = 0;
  };
  explicit Ssds(Asked& asked) : asked_(asked), event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  bool ask(int, backend::SmartQuestion& question) override {
    ++asked_.times;
    asked_.waiting.push_back(&question);
    return true;
  }
  int event_fd() const override { return event_.get(); }
  void receive() override {}

 private:
  Asked& asked_;
  backend::Descriptor event_;
};

class Disk : public backend::Device {
 public:
  explicit Disk(const std::string& controller) { info_.controller = controller; }
  std::unique_ptr<core::IoChannel> open_channel(backend::UringEngine&) override { return nullptr; }
};

struct Monitored {
  explicit Monitored(const HealthTiming& timing) {
    target.on_event = [this](const core::Event& event) { events.push_back(event.message); };
    target.add_port({.id = 1, .address = "192.0.2.1", .service = 4420});
    core::SubsystemOptions options;
    options.nqn = kNqn;
    options.ports = {1};
    subsystem = &target.add_subsystem(options);
    core::NamespaceOptions ns;
    ns.nsid = 1;
    ns.block_count = 100;
    subsystem->add_namespace(ns);
    serve();
    monitor.emplace(
        io, target, namespaces, std::make_unique<Ssds>(asked), [] {}, timing);
  }
  void serve() {
    auto served = std::make_unique<ServedNamespace>();
    served->subsystem = kNqn;
    served->wanted.nsid = 1;
    served->device = std::make_unique<Disk>(kController);
    namespaces.push_back(std::move(served));
  }
  void answer(uint8_t wear = kWear, int result = 0) {
    backend::SmartQuestion& question = *asked.waiting.front();
    asked.waiting.pop_front();
    question.page = {};
    question.page.percent_used = wear;
    question.answered(question, result);
  }
  nvme_smart_log health() const {
    const auto devices = monitor->health(*subsystem);
    REQUIRE(devices.size() == 1);
    return devices.front();
  }

  boost::asio::io_context io;
  core::Target target{core::TargetOptions{}};
  core::Subsystem* subsystem = nullptr;
  std::vector<std::string> events;
  HealthMonitor::Namespaces namespaces;
  Ssds::Asked asked;
  std::optional<HealthMonitor> monitor;
};

TEST_CASE("the SSD answers: hosts see its figures, and it is asked again") {
  Monitored m(kImpatient);
  m.monitor->refresh();
  m.answer();
  CHECK(m.health().percent_used == kWear);
  CHECK(m.health().critical_warning == 0);
  m.monitor->refresh();
  m.answer(kWear + 1);
  CHECK(m.health().percent_used == kWear + 1);
  CHECK(m.asked.times == 2);
  CHECK(m.events.empty());
}

TEST_CASE("the SSD falls silent: its last figures with a warning, one question however long, and hosts are told once") {
  Monitored m(kImpatient);
  m.monitor->refresh();
  m.answer();
  for (int round = 0; round < 5; ++round) m.monitor->refresh();
  CHECK(m.asked.times == 2);
  CHECK(m.asked.waiting.size() == 1);
  CHECK(m.health().percent_used == kWear);
  CHECK(m.health().critical_warning == NVME_SMART_CRIT_DEGRADED);
  REQUIRE(m.events.size() == 1);
  CHECK(m.events[0].find("namespace 1 of " + std::string(kNqn)) == 0);

  SUBCASE("it answers after all: no warning any more, and it is asked again") {
    m.answer(kWear + 1);
    CHECK(m.health().percent_used == kWear + 1);
    CHECK(m.health().critical_warning == 0);
    m.monitor->refresh();
    CHECK(m.asked.times == 3);
  }
}

TEST_CASE("the SSD's patience is not over: its last figures without a warning") {
  Monitored m(kPatient);
  m.monitor->refresh();
  m.answer();
  for (int round = 0; round < 5; ++round) m.monitor->refresh();
  CHECK(m.asked.waiting.size() == 1);
  CHECK(m.health().percent_used == kWear);
  CHECK(m.health().critical_warning == 0);
  CHECK(m.events.empty());
}

TEST_CASE("the SSD never answered: hosts see the target's own counts") {
  Monitored m(kImpatient);
  for (int round = 0; round < 5; ++round) m.monitor->refresh();
  CHECK(m.asked.times == 1);
  CHECK(m.health().percent_used == 0);
  CHECK(m.health().critical_warning == 0);
}

TEST_CASE("the SSD refuses the question: hosts see the target's own counts, until it answers again") {
  Monitored m(kImpatient);
  m.monitor->refresh();
  m.answer();
  m.monitor->refresh();
  SUBCASE("with a status") { m.answer(0, NVME_SC_INTERNAL); }
  SUBCASE("the kernel has no such device any more") { m.answer(0, -ENODEV); }
  CHECK(m.health().percent_used == 0);
  CHECK(m.health().critical_warning == 0);
  m.monitor->refresh();
  m.answer();
  CHECK(m.health().percent_used == kWear);
}

TEST_CASE("its namespace goes while it is silent, and comes back: the one question is still the SSD's") {
  Monitored m(kImpatient);
  m.monitor->refresh();
  m.namespaces.clear();
  m.monitor->refresh();
  CHECK(m.monitor->health(*m.subsystem).empty());
  m.serve();
  m.monitor->refresh();
  CHECK(m.asked.times == 1);
  m.answer();
  CHECK(m.health().percent_used == kWear);
}

// An address sanitizer sees whether the memory is still there.
TEST_CASE("the daemon stops while the SSD is silent: at once, and the SSD may still write its answer") {
  Monitored m(kImpatient);
  m.monitor->refresh();
  m.monitor.reset();
  REQUIRE(m.asked.waiting.size() == 1);
  m.asked.waiting.front()->page.percent_used = kWear;
  CHECK(m.asked.waiting.front()->page.percent_used == kWear);
}

}  // namespace
}  // namespace nvmf::daemon
