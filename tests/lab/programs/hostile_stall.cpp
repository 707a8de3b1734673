// Hosts that begin and do not go on. The target gives them 5 s (the case asks it whether they are gone).
#include <vector>

#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

constexpr unsigned kOfEach = 5;
constexpr milliseconds kPatience{60'000};

}  // namespace

unsigned attack_by_stalling(const Where& where) {
  Expectations expectations;
  std::vector<std::unique_ptr<HostQueue>> silent;
  std::vector<std::unique_ptr<HostQueue>> unfinished;
  for (unsigned i = 0; i < kOfEach; ++i) {
    silent.push_back(open_queue(where, static_cast<uint16_t>(i % 2)));
    auto queue = std::make_unique<HostQueue>(where.address);
    const auto answer = queue->connect(bytes_of(cm_request(0)), 16, HostQueue::Handshake::StopBeforeReadyToUse);
    expectations.check(answer.accepted, "a connection request is accepted", answer.event);
    unfinished.push_back(std::move(queue));
  }
  std::cout << "stalling" << std::endl;
  for (const auto& queue : silent)
    expectations.check(queue->closed(kPatience), "a queue without a Connect command is closed");
  return expectations.failed();
}

}  // namespace nvmf::lab
