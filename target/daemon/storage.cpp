#include "target/daemon/storage.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>

#include "config/diagnostics.h"
#include "target/core/scratch.h"

namespace nvmf::daemon {
namespace {

template <class... Case>
struct Match : Case... {
  using Case::operator()...;
};
template <class... Case>
Match(Case...) -> Match<Case...>;

backend::DeviceSpec spec_of(const config::Backend& wanted) {
  using backend::DeviceKind;
  using Spec = backend::DeviceSpec;
  return std::visit(
      Match{[](const config::NvmeBackend& nvme) { return Spec{.kind = DeviceKind::Nvme, .path = nvme.path}; },
            [](const config::BlockBackend& block) { return Spec{.kind = DeviceKind::Block, .path = block.path}; },
            [](const config::FileBackend& file) {
              return Spec{.kind = DeviceKind::File, .path = file.path, .block_bytes = file.block_size_bytes};
            },
            [](const config::MemoryBackend& memory) {
              return Spec{.kind = DeviceKind::Memory,
                          .path = {},
                          .size_bytes = memory.size_bytes,
                          .block_bytes = memory.block_size_bytes};
            }},
      wanted);
}

core::P2pMode mode_of(config::P2pMode mode) {
  switch (mode) {
    case config::P2pMode::off:
      return core::P2pMode::Off;
    case config::P2pMode::prefer:
      return core::P2pMode::Prefer;
    case config::P2pMode::require:
      return core::P2pMode::Require;
  }
  return core::P2pMode::Off;
}

template <class Identifier>
bool is_set(const Identifier& identifier) {
  return std::any_of(identifier.begin(), identifier.end(), [](uint8_t byte) { return byte != 0; });
}

// The same namespace of the same subsystem is the same to hosts after every restart.
std::array<uint8_t, 16> derived_uuid(const std::string& nqn, uint32_t nsid) {
  const auto uuid = boost::uuids::name_generator_sha1(boost::uuids::ns::x500dn())(nqn + "#" + std::to_string(nsid));
  std::array<uint8_t, 16> bytes{};
  std::copy(uuid.begin(), uuid.end(), bytes.begin());
  return bytes;
}

core::CopyLimits copy_limits(const backend::DeviceInfo& device) {
  return (device.own_commands & core::kOwnCopy) != 0 ? device.copy : core::composed_copy_limits(device.lba_shift);
}

// What the config says goes first, then what the device says of itself.
core::NamespaceOptions options_of(const config::Namespace& wanted, const backend::DeviceInfo& device,
                                  const std::string& nqn) {
  core::NamespaceOptions options;
  options.nsid = wanted.nsid;
  options.lba_shift = device.lba_shift;
  options.block_count = device.block_count;
  options.uuid = wanted.uuid.value_or(device.uuid);
  options.nguid = wanted.nguid.value_or(device.nguid);
  options.eui64 = wanted.eui64.value_or(device.eui64);
  if (!is_set(options.uuid) && !is_set(options.nguid) && !is_set(options.eui64))
    options.uuid = derived_uuid(nqn, wanted.nsid);
  options.supports_deallocate = device.supports_deallocate;
  options.supports_write_zeroes = device.supports_write_zeroes;
  options.supports_write_uncorrectable = (device.own_commands & core::kOwnWriteUncorrectable) != 0;
  options.copy = copy_limits(device);
  options.volatile_write_cache = device.volatile_write_cache;
  options.optimal_io_boundary_blocks = device.optimal_io_boundary_blocks;
  return options;
}

}  // namespace

Storage::Storage(const config::Config& config, core::Target& target, Engines engines,
                 const std::vector<std::unique_ptr<rdma::Rnic>>& rnics, PeerMemories& peer_memories,
                 core::Mailbox& control_mailbox)
    : config_(config),
      engines_(std::move(engines)),
      rnics_(rnics),
      peer_memories_(peer_memories),
      control_mailbox_(control_mailbox) {
  for (const config::Subsystem& wanted : config.subsystems) {
    core::SubsystemOptions options;
    options.nqn = wanted.nqn;
    options.serial = wanted.serial;
    options.model = wanted.model;
    options.ports = wanted.ports;
    options.allow_any_host = wanted.allow_any_host;
    options.allowed_hosts = wanted.allowed_hosts;
    if (wanted.max_controllers) options.max_controllers = *wanted.max_controllers;
    core::Subsystem& subsystem = target.add_subsystem(std::move(options));
    for (const config::Namespace& space : wanted.namespaces) {
      try {
        serve(subsystem, space);
      } catch (const std::exception& error) {
        spdlog::error("{}: namespace {} of {} is not served: {}", config::location(config.file, space.backend_position),
                      space.nsid, wanted.nqn, error.what());
      }
    }
    publish_tables(subsystem);
  }
}

void Storage::serve(core::Subsystem& subsystem, const config::Namespace& wanted) {
  auto device = backend::open_device(spec_of(wanted.backend));
  for (const std::string& note : device->info().notes) spdlog::warn("{}", note);

  auto served = std::make_unique<ServedNamespace>();
  served->subsystem = &subsystem;
  served->nsid = wanted.nsid;
  served->description = device->info().description;
  served->p2p = mode_of(wanted.p2p);
  choose_peer_memory(wanted, *device, *served);
  place_on_groups(wanted, *device, *served);
  set_limits(wanted, *served);
  add_gates(device->info().lba_shift, *served);
  subsystem.add_namespace(options_of(wanted, device->info(), subsystem.nqn()));

  spdlog::info("namespace {} of {}: {}; {}", wanted.nsid, subsystem.nqn(), served->description, served->p2p_verdict);
  devices_.push_back(std::move(device));
  served_.push_back(std::move(served));
}

// Names the SSD whose CMB serves, and says why; throws when one is required and cannot serve.
void Storage::choose_peer_memory(const config::Namespace& wanted, const backend::Device& device,
                                 ServedNamespace& served) {
  if (served.p2p == core::P2pMode::Off) {
    served.p2p_verdict = "data goes through DRAM: \"p2p\" is \"off\"";
    return;
  }
  const std::string bdf = wanted.p2p_provider.value_or(device.info().pci_address.value_or(""));
  const bool own = bdf == device.info().pci_address;
  const auto* nvme = std::get_if<config::NvmeBackend>(&wanted.backend);
  std::string obstacle;
  if (bdf.empty())
    obstacle = "the device is no SSD with a PCI address, so it has no CMB; name one with \"p2p_provider\"";
  else if (!peer_memories_.prepare(bdf, own && nvme ? nvme->path : std::string()))
    obstacle = peer_memories_.failure(bdf);
  else if (std::none_of(rnics_.begin(), rnics_.end(),
                        [&](const auto& rnic) { return peer_memories_.pool(bdf, *rnic->io_groups().front()); }))
    obstacle = "no RDMA device passed the self-test with the CMB of " + bdf + " (its findings are above)";

  if (obstacle.empty()) {
    served.p2p_provider = bdf;
    served.p2p_verdict = "data goes through the CMB of " + bdf;
    return;
  }
  if (served.p2p == core::P2pMode::Require)
    throw std::runtime_error("\"p2p\" is \"require\", and no CMB can serve: " + obstacle);
  served.p2p_verdict = "data goes through DRAM: " + obstacle;
}

// One channel per reactor, one view per poll group.
void Storage::place_on_groups(const config::Namespace& wanted, backend::Device& device, ServedNamespace& served) {
  const size_t first_channel = channels_.size();
  for (backend::UringEngine* engine : engines_) channels_.push_back(device.open_channel(*engine));

  for (const auto& rnic : rnics_) {
    const p2p::SelfTestResult* proof =
        served.p2p_provider.empty() ? nullptr : peer_memories_.proof(served.p2p_provider, *rnic);
    for (size_t reactor = 0; reactor < engines_.size(); ++reactor) {
      auto view = std::make_unique<core::IoNamespace>();
      view->nsid = wanted.nsid;
      view->lba_shift = device.info().lba_shift;
      view->block_count = device.info().block_count;
      view->channel = channels_[first_channel + reactor].get();
      view->memory_alignment_bytes = device.info().memory_alignment_bytes;
      view->supports_deallocate = device.info().supports_deallocate;
      view->supports_write_zeroes = device.info().supports_write_zeroes;
      view->own_commands = device.info().own_commands;
      view->copy = copy_limits(device.info());
      view->p2p.mode = served.p2p;
      view->p2p.when_dry =
          wanted.p2p_when_dry == config::P2pWhenDry::wait ? core::P2pWhenDry::Wait : core::P2pWhenDry::Spill;
      view->p2p.min_bytes = wanted.p2p_min_bytes;
      if (proof) {
        view->cmb = peer_memories_.pool(served.p2p_provider, *rnic->io_groups()[reactor]);
        view->p2p.host_reads = proof->host_reads;
        view->p2p.host_writes = proof->host_writes;
      }
      served.on_group.push_back(std::move(view));
    }
  }
}

// One limit for all reactors, and a view's own list of those who wait.
void Storage::set_limits(const config::Namespace& wanted, ServedNamespace& served) {
  if (wanted.max_iops == 0 && wanted.max_mib_per_s == 0) return;
  served.limit = std::make_unique<core::RateLimit>(wanted.max_iops, uint64_t{wanted.max_mib_per_s} << 20);
  for (const auto& view : served.on_group) {
    served.throttles.push_back(std::make_unique<core::Throttle>(*served.limit));
    view->throttle = served.throttles.back().get();
  }
}

void Storage::add_gates(uint8_t lba_shift, ServedNamespace& served) {
  if (config_.rdma.in_capsule_data_bytes < 1u << lba_shift) return;
  served.fused_turns = std::make_unique<core::FusedTurns>(&control_mailbox_);
  for (size_t view = 0; view < served.on_group.size(); ++view) {
    rdma::PollGroup& group = *rnics_[view / engines_.size()]->io_groups()[view % engines_.size()];
    served.fused_turns->add(served.on_group[view]->gate, &group.mailbox());
  }
}

void Storage::publish_tables(const core::Subsystem& subsystem) {
  for (size_t rnic = 0; rnic < rnics_.size(); ++rnic) {
    for (size_t reactor = 0; reactor < engines_.size(); ++reactor) {
      auto table = std::make_unique<core::IoNamespaceTable>();
      table->max_transfer_bytes = config_.rdma.mdts_bytes;
      for (const auto& served : served_) {
        if (served->subsystem != &subsystem) continue;
        if (table->by_nsid.size() < served->nsid) table->by_nsid.resize(served->nsid);
        table->by_nsid[served->nsid - 1] = served->on_group[rnic * engines_.size() + reactor].get();
      }
      rnics_[rnic]->io_groups()[reactor]->set_namespaces(subsystem, std::move(table));
    }
  }
}

}  // namespace nvmf::daemon
