#include "tests/simulation/control_plane.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <stdexcept>
#include <utility>

#include "config/parse.h"
#include "target/core/subsystem/controller.h"
#include "target/daemon/end_controllers.h"

namespace nvmf::simulation {
namespace {

// A model disk as the daemon opens it.
class ModelDevice final : public backend::Device {
 public:
  using EngineOf = std::function<SteppedEngine&(const backend::UringEngine&)>;

  ModelDevice(ModelDisk& disk, const std::string& path, EngineOf engine_of)
      : disk_(disk), engine_of_(std::move(engine_of)) {
    info_.lba_shift = disk.lba_shift();
    info_.block_count = disk.block_count();
    info_.supports_write_zeroes = true;
    info_.volatile_write_cache = true;
    if (!disk.pci_address.empty()) info_.pci_address = disk.pci_address;
    info_.storage = info_.path = info_.description = path;
  }
  std::unique_ptr<core::IoChannel> open_channel(backend::UringEngine& engine) override {
    return disk_.open_channel(engine_of_(engine));
  }

 private:
  backend::Measurement measure() const override { return {.size_bytes = disk_.block_count() << disk_.lba_shift()}; }

  ModelDisk& disk_;
  EngineOf engine_of_;
};

config::Config parsed(const config::Sources& sources) {
  config::Result result = config::parse(sources);
  if (!result) throw std::runtime_error("the simulated config: " + to_string(result.diagnostics.front()));
  return std::move(*result.config);
}

std::vector<std::unique_ptr<backend::UringEngine>> engines_for(size_t reactors) {
  std::vector<std::unique_ptr<backend::UringEngine>> engines;
  const backend::EngineOptions small{
      .submission_entries = 1, .completion_entries = 2, .max_buffers = 1, .max_files = 1};
  for (size_t i = 0; i < reactors; ++i) engines.push_back(std::make_unique<backend::UringEngine>(small));
  return engines;
}

// Its lines would be real time's.
void write_no_log() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("none")); }

}  // namespace

ControlPlane::ControlPlane(const Parts& parts, const std::string& file, const std::string& text)
    : parts_(parts),
      engines_(engines_for(parts.reactors.size())),
      running_((write_no_log(), parsed({.file = {file, text}})), {.file = {file, text}}),
      identifiers_(daemon::StateDirectory(running_.config().state_dir)),
      served_storages_(daemon::StateDirectory(running_.config().state_dir)),
      peer_memories_(parts.transport.rnics(), running_.config().rdma.mdts_bytes),
      events_(parts.io),
      opener_(parts.io, opener_options()),
      storage_(parts.io, parts.target, parts.control, threads(), parts.transport, peer_memories_, opener_, identifiers_,
               served_storages_, events_),
      health_(parts.io, parts.target, storage_.namespaces(), nullptr, [this] { parts_.transport.turn_admin(); }),
      changes_(parts.io,
               [this] {
                 ana_topology_.changed();
                 parts_.transport.turn_admin();
               }),
      ports_(parts.io, parts.target, parts.transport, storage_, peer_memories_, changes_, events_),
      ana_topology_({.io = parts.io,
                     .target = parts.target,
                     .transport = parts.transport,
                     .storage = storage_,
                     .peer_memories = peer_memories_,
                     .ports = ports_,
                     .running = running_,
                     .events = events_}),
      reload_({.io = parts.io,
               .target = parts.target,
               .transport = parts.transport,
               .storage = storage_,
               .opener = opener_,
               .health = health_,
               .ports = ports_,
               .changes = changes_,
               .running = running_,
               .files = config_files_,
               .events = events_}) {
  for (size_t i = 0; i < engines_.size(); ++i) parts.reactors[i]->engine.set_memory(engines_[i].get());
  parts.target.health_source = &health_;
  parts.target.flush_namespace = [this](const core::Subsystem& subsystem, uint32_t nsid, auto done) {
    const auto answered = [this, done](core::Status status) {
      done(status);
      parts_.transport.turn_admin();
    };
    boost::asio::co_spawn(parts_.io, storage_.flush(subsystem.nqn(), nsid, answered), [](std::exception_ptr) {});
  };
}

ControlPlane::~ControlPlane() {
  for (const auto& reactor : parts_.reactors) reactor->engine.set_memory(nullptr);
}

std::vector<daemon::DataThreadRef> ControlPlane::threads() const {
  std::vector<daemon::DataThreadRef> refs;
  for (size_t i = 0; i < engines_.size(); ++i) refs.push_back({&parts_.reactors[i]->reactor, engines_[i].get()});
  return refs;
}

daemon::DeviceOpenerOptions ControlPlane::opener_options() {
  const auto engine_of = [this](const backend::UringEngine& engine) -> SteppedEngine& {
    size_t reactor = 0;
    while (engines_[reactor].get() != &engine) ++reactor;
    return parts_.reactors[reactor]->engine;
  };
  return {.open = [this, engine_of](const backend::DeviceSpec& spec) -> std::shared_ptr<backend::Device> {
    if (spec.kind == backend::DeviceKind::Memory) return backend::open_device(spec);
    return std::make_shared<ModelDevice>(parts_.disk_at(spec.path), spec.path, engine_of);
  }};
}

void ControlPlane::start() {
  boost::asio::co_spawn(parts_.io, reload_.serve(), [this](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
    started_ = true;
  });
}

void ControlPlane::reload(std::function<void(const daemon::ConfigChange&)> done) {
  boost::asio::co_spawn(
      parts_.io, reload_.reload(),
      [done = std::move(done)](const std::exception_ptr& failure, const daemon::ConfigChange& change) {
        if (failure) std::rethrow_exception(failure);
        done(change);
      });
}

size_t ControlPlane::disconnect(const std::string& hostnqn) {
  const size_t count = daemon::end_controllers(parts_.target, "the operator disconnects host " + hostnqn,
                                               [&](const core::Controller& one) { return one.host().nqn == hostnqn; });
  parts_.transport.turn_admin();
  return count;
}

void ControlPlane::stop() {
  changes_.close();
  ports_.stop();
  reload_.stop();
}

void ControlPlane::move_hosts(std::function<void()> done) {
  boost::asio::co_spawn(parts_.io, ports_.move_hosts(), [done = std::move(done)](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
    done();
  });
}

void ControlPlane::prove(std::function<void()> done) {
  boost::asio::co_spawn(parts_.io, ports_.prove({}), [done = std::move(done)](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
    done();
  });
}

void ControlPlane::close_devices(std::function<void()> done) {
  const auto task = [this]() -> boost::asio::awaitable<void> {
    while (!parts_.transport.rnics().empty()) {
      rdma::Rnic& rnic = *parts_.transport.rnics().front();
      rnic.leave();  // nothing of it asks a reactor for anything any more
      while (rnic.is_changing()) co_await boost::asio::post(parts_.io, boost::asio::use_awaitable);
      co_await storage_.part(rnic);
      peer_memories_.remove(rnic);
      parts_.transport.close(rnic);
    }
    while (parts_.transport.is_closing()) co_await boost::asio::post(parts_.io, boost::asio::use_awaitable);
  };
  boost::asio::co_spawn(parts_.io, task, [done = std::move(done)](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
    done();
  });
}

}  // namespace nvmf::simulation
