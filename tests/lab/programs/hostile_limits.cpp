// Hosts that take too much: connections faster than they may, all room for I/O queues, a controller they left behind.
#include <atomic>
#include <thread>
#include <vector>

#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

constexpr auto kNoResources = static_cast<uint16_t>(nvme::RdmaCmStatus::NoResources);

std::string in_words(const HostQueue::Answer& answer) {
  if (answer.accepted) return "accepted";
  return answer.rejection ? "rejected with " + std::to_string(*answer.rejection) : answer.event + " without a status";
}

HostQueue::Answer ask_for_queue(HostQueue& queue, uint16_t qid, uint16_t entries) {
  nvme::RdmaCmRequest request = cm_request(qid);
  request.hsqsize_z = static_cast<uint16_t>(entries - 1);
  request.hrqsize = entries;
  return queue.connect(bytes_of(request));
}

// Until a host may connect again where one connection a second is allowed, whoever used up the last one.
constexpr milliseconds kAllowanceReturns{1500};

// Connects an admin queue with a Keep Alive Timer; the status of its Connect.
uint16_t connect_with_timer(HostQueue& queue, const Where& where, uint32_t kato_ms) {
  if (!queue.connect(bytes_of(cm_request(0))).accepted) throw std::runtime_error("the target refused a connection");
  auto connect = connect_command(queue, where, 0, nvme::kCntlidDynamic);
  connect.kato_ms = kato_ms;
  const auto cqe = ask(queue, connect);
  if (!cqe) throw std::runtime_error("Connect was not answered");
  return status_of(*cqe);
}

}  // namespace

// More at a time than the target lets wait for their turn.
unsigned attack_by_storm(const Where& where) {
  constexpr unsigned kThreads = 8;
  constexpr unsigned kConnections = 40;
  Expectations expectations;
  std::atomic<unsigned> accepted = 0;
  std::atomic<unsigned> refused = 0;
  std::this_thread::sleep_for(kAllowanceReturns);
  const auto connect_some = [&] {
    for (unsigned i = 0; i < kConnections / kThreads; ++i) {
      HostQueue queue(where.address);
      const HostQueue::Answer answer = queue.connect(bytes_of(cm_request(0)));
      if (answer.accepted) ++accepted;
      if (answer.rejection == kNoResources) ++refused;
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < kThreads; ++i) threads.emplace_back(connect_some);
  threads.clear();
  const std::string count = std::to_string(accepted) + " accepted, " + std::to_string(refused) + " refused";
  std::cout << count << std::endl;
  expectations.check(accepted > 0 && refused > 0 && accepted + refused == kConnections,
                     "of many connections some are accepted, the others refused for lack of resources", count);
  std::this_thread::sleep_for(kAllowanceReturns);
  const Session session = connect_all(where);
  expectations.check(session.io != nullptr, "a well-behaved host connects afterwards");
  return expectations.failed();
}

unsigned attack_by_using_up(const Where& where) {
  constexpr uint16_t kEntries = 1024;
  constexpr uint16_t kMost = 64;
  Expectations expectations;
  Session session = connect_admin(where);
  enable(session);
  std::vector<std::unique_ptr<HostQueue>> taken;
  HostQueue::Answer answer{.accepted = true, .rejection = {}, .event = {}};
  for (uint16_t qid = 1; answer.accepted && qid <= kMost; ++qid) {
    HostQueue& queue = *taken.emplace_back(std::make_unique<HostQueue>(where.address));
    answer = ask_for_queue(queue, qid, kEntries);
    if (answer.accepted) ask(queue, connect_command(queue, where, qid, session.cntlid));
  }
  expectations.check(answer.rejection == kNoResources, "I/O queues are accepted until there is no room",
                     std::to_string(taken.size()) + " queues, the last " + in_words(answer));
  const Session another = connect_admin(where);
  expectations.check(another.admin != nullptr, "an admin queue connects while there is no room for I/O queues");
  return expectations.failed();
}

// Hosts send Keep Alive every half of the timer: one that has been silent for three quarters is dead.
unsigned attack_by_returning(const Where& where) {
  constexpr uint32_t kKatoMs = 24'000;
  Expectations expectations;
  HostQueue old(where.address);
  HostQueue too_early(where.address);
  HostQueue again(where.address);
  expectations.check(connect_with_timer(old, where, kKatoMs) == 0, "a host connects");
  expectations.check(connect_with_timer(too_early, where, kKatoMs) != 0,
                     "it connects once more than it may: refused while its controller lives");
  std::this_thread::sleep_for(milliseconds(kKatoMs * 4 / 5));
  expectations.check(!old.closed(milliseconds(0)), "its controller has not expired yet");
  expectations.check(connect_with_timer(again, where, kKatoMs) == 0, "it connects anew after a long silence: accepted");
  expectations.check(old.closed(kAnswerTimeout), "the silent controller is closed");
  return expectations.failed();
}

}  // namespace nvmf::lab
