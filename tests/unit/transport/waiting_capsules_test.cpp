#include "transport/rdma/waiting_capsules.h"

#include <doctest/doctest.h>

#include <vector>

using namespace nvmf::rdma;
using nvmf::nvme::Sqe;

namespace {

// A queue pair with capsules whose commands are numbered from 1 on.
struct Host {
  QueuePair queue_pair;
  Sqe commands[4]{};
  ReceiveSlot slots[4];
  explicit Host(uint32_t max_requests = 1) {
    queue_pair.max_requests = max_requests;
    for (uint16_t i = 0; i < 4; ++i) {
      commands[i].cid = static_cast<uint16_t>(i + 1);
      slots[i].sqe = reinterpret_cast<std::byte*>(&commands[i]);
      slots[i].queue_pair = &queue_pair;
    }
  }
};

}  // namespace

TEST_CASE("A capsule waits until its own queue has a request object to spare, in the order of arrival") {
  WaitingCapsules waiting;
  Host host;
  host.queue_pair.requests_held = 1;
  CHECK(waiting.empty());
  waiting.add(host.slots[0]);
  waiting.add(host.slots[1]);
  CHECK_FALSE(waiting.empty());
  CHECK(waiting.take() == nullptr);

  host.queue_pair.requests_held = 0;
  waiting.request_came_free(host.queue_pair);
  CHECK(waiting.take() == &host.slots[0]);
  host.queue_pair.requests_held = 1;
  CHECK(waiting.take() == nullptr);

  host.queue_pair.requests_held = 0;
  waiting.request_came_free(host.queue_pair);
  CHECK(waiting.take() == &host.slots[1]);
  CHECK(waiting.empty());
  CHECK(waiting.take() == nullptr);
}

TEST_CASE("Queues take turns, and one whose host takes no answers keeps no other waiting") {
  WaitingCapsules waiting;
  Host stuck, one(2), other(2);
  stuck.queue_pair.requests_held = 1;
  for (Host* host : {&stuck, &one, &other})
    for (int i = 0; i < 2; ++i) waiting.add(host->slots[i]);
  waiting.request_came_free(one.queue_pair);
  waiting.request_came_free(other.queue_pair);
  std::vector<const ReceiveSlot*> order;
  while (ReceiveSlot* slot = waiting.take()) order.push_back(slot);
  CHECK(order == std::vector<const ReceiveSlot*>{&one.slots[0], &other.slots[0], &one.slots[1], &other.slots[1]});
  CHECK_FALSE(waiting.empty());
}

TEST_CASE("A waiting command is found by its identifier, in its own queue only") {
  WaitingCapsules waiting;
  Host host, other;
  waiting.add(host.slots[0]);
  waiting.add(host.slots[2]);
  waiting.add(other.slots[1]);
  CHECK(WaitingCapsules::find(host.queue_pair, 3) == &host.slots[2]);
  CHECK(WaitingCapsules::find(host.queue_pair, 2) == nullptr);
}

TEST_CASE("A queue pair that fails takes its capsules with it, and has no turn any more") {
  WaitingCapsules waiting;
  Host failed, other;
  for (int i = 0; i < 3; ++i) waiting.add(failed.slots[i]);
  waiting.add(other.slots[0]);
  waiting.request_came_free(failed.queue_pair);
  waiting.request_came_free(other.queue_pair);
  std::vector<const ReceiveSlot*> dropped;
  for (const ReceiveSlot* slot = waiting.drop(failed.queue_pair); slot != nullptr; slot = slot->next)
    dropped.push_back(slot);
  CHECK(dropped == std::vector<const ReceiveSlot*>{&failed.slots[0], &failed.slots[1], &failed.slots[2]});
  CHECK(waiting.take() == &other.slots[0]);
  CHECK(waiting.take() == nullptr);
  CHECK(waiting.empty());
}

TEST_CASE("A turn that a queue pair had before its capsules were dropped is no turn for later ones") {
  WaitingCapsules waiting;
  Host host;
  waiting.add(host.slots[0]);
  waiting.request_came_free(host.queue_pair);
  CHECK(waiting.drop(host.queue_pair) == &host.slots[0]);
  waiting.add(host.slots[1]);
  CHECK(waiting.take() == nullptr);
  waiting.request_came_free(host.queue_pair);
  CHECK(waiting.take() == &host.slots[1]);
  CHECK(waiting.take() == nullptr);
}
