#include "tests/rnic/fabric.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>

#include "tests/rnic/connection_manager.h"
#include "tests/rnic/device.h"
#include "tests/rnic/queue_pair.h"

namespace nvmf::rnic {
namespace {

Fabric* living_fabric = nullptr;

}  // namespace

Fabric::Fabric(uint64_t seed) : schedule_(seed), connections_(std::make_unique<ConnectionManager>(*this)) {
  if (living_fabric != nullptr) std::abort();
  living_fabric = this;
}

Fabric::~Fabric() { living_fabric = nullptr; }

Fabric& Fabric::living() {
  if (living_fabric == nullptr) std::abort();
  return *living_fabric;
}

const Fabric* Fabric::current() { return living_fabric; }

Device& Fabric::add_device(const std::string& name, const std::string& address, const Profile& profile) {
  in_addr parsed{};
  if (inet_pton(AF_INET, address.c_str(), &parsed) != 1) std::abort();
  devices_.push_back(std::make_unique<Device>(*this, name, parsed, profile));
  present_.push_back(devices_.back().get());
  return *devices_.back();
}

void Fabric::remove(Device& device) {
  note("device removed");
  std::erase(present_, &device);
  device.remove();
  connections_->device_removed(device);
}

Device* Fabric::device_at(in_addr address) const {
  const auto found = std::ranges::find_if(present_, [&](const Device* device) { return device->has_address(address); });
  return found == present_.end() ? nullptr : *found;
}

void Fabric::enter(QueuePair& queue_pair) { queue_pairs_[queue_pair.qp_num] = &queue_pair; }

void Fabric::leave(const QueuePair& queue_pair) { queue_pairs_.erase(queue_pair.qp_num); }

QueuePair* Fabric::find_queue_pair(uint32_t number) const {
  const auto found = queue_pairs_.find(number);
  return found == queue_pairs_.end() ? nullptr : found->second;
}

}  // namespace nvmf::rnic
