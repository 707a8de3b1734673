#include "tests/rnic/fabric.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/rnic/connection_manager.h"
#include "tests/rnic/device.h"
#include "tests/rnic/queue_pair.h"

namespace nvmf::rnic {
namespace {

Fabric* living_fabric = nullptr;

}  // namespace

Fabric::Fabric(uint64_t seed) : schedule_(seed), connections_(std::make_unique<ConnectionManager>(*this)) {
  if (living_fabric) std::abort();
  living_fabric = this;
}

Fabric::~Fabric() { living_fabric = nullptr; }

Fabric& Fabric::living() {
  if (!living_fabric) std::abort();
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

void Fabric::note(const char* format, uint64_t a, uint64_t b) {
  notes_[noted_++ % notes_.size()] = {schedule_.now_ns(), format, a, b};
}

std::string Fabric::story() const {
  std::string text;
  const uint64_t first = noted_ > notes_.size() ? noted_ - notes_.size() : 0;
  for (uint64_t i = first; i < noted_; ++i) {
    const Note& note = notes_[i % notes_.size()];
    char line[256];
    std::snprintf(line, sizeof line, "%14.3f us  ", static_cast<double>(note.at_ns) / 1000);
    text += line;
    std::snprintf(line, sizeof line, note.format, static_cast<unsigned long long>(note.a),
                  static_cast<unsigned long long>(note.b));
    text += line;
    text += '\n';
  }
  return text;
}

void Fabric::enter(QueuePair& queue_pair) { queue_pairs_[queue_pair.qp_num] = &queue_pair; }

void Fabric::leave(const QueuePair& queue_pair) { queue_pairs_.erase(queue_pair.qp_num); }

QueuePair* Fabric::find_queue_pair(uint32_t number) const {
  const auto found = queue_pairs_.find(number);
  return found == queue_pairs_.end() ? nullptr : found->second;
}

}  // namespace nvmf::rnic
