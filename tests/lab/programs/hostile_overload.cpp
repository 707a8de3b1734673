// Hosts that use up what others need: more capsules than a queue has entries, half a capsule again and again, a flood
// of admin commands, silent connections, Reads whose answers they do not take. A well-behaved host is served after
// each, or beside it.
#include <chrono>
#include <csignal>
#include <vector>

#include "target/nvme/types.h"
#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

using nvme::Sqe;

constexpr milliseconds kPatience{60'000};
constexpr uint32_t kPacketBytes = 4096;  // path MTU of the lab

volatile std::sig_atomic_t told_to_end = 0;

nvme::PropertyCommand property_get() {
  nvme::PropertyCommand get{};
  get.opcode = nvme_admin_fabrics;
  get.flags = 0x40;
  get.fctype = nvme_fabrics_type_property_get;
  get.offset = NVME_REG_CSTS;
  return get;
}

void expect_service(const Where& where, Expectations& expectations, const std::string& when) {
  Session session = connect_all(where);
  Sqe read = command(nvme_cmd_read, 1);
  read.sgl1 = keyed(*session.io, 512);
  const auto cqe = ask(*session.io, read);
  expectations.check(cqe && status_of(*cqe) == 0, "a well-behaved host is served " + when);
}

// It takes no answers: these keep its request objects, and what comes after that its receive slots.
void overrun(HostQueue& queue, Expectations& expectations, const std::string& which) {
  constexpr unsigned kMost = kQueueEntries * 4;
  unsigned sent = 0;
  while (sent < kMost && queue.send(bytes_of(property_get()))) ++sent;
  expectations.check(queue.closed(kPatience), which + " with more commands than its queue has entries is disconnected",
                     std::to_string(sent) + " were sent");
}

}  // namespace

unsigned attack_by_overrun(const Where& where) {
  Expectations expectations;
  for (const uint16_t qid : {0, 1}) {
    HostQueue queue(where.address, {.receives = 1, .reposts = false, .from = {}});
    expectations.check(queue.connect(bytes_of(cm_request(qid))).accepted, "a connection request is accepted");
    overrun(queue, expectations, qid == 0 ? "an admin queue before Connect" : "an I/O queue before Connect");
  }
  Session session = connect_admin(where);
  enable(session);
  HostQueue io(where.address, {.receives = 1, .reposts = false, .from = {}});
  expectations.check(io.connect(bytes_of(cm_request(1))).accepted, "an I/O queue is accepted");
  const auto connected = ask(io, connect_command(io, where, 1, session.cntlid));
  expectations.check(connected && status_of(*connected) == 0, "and connected");
  overrun(io, expectations, "an I/O queue after Connect");
  session = {};
  expect_service(where, expectations, "after that");
  return expectations.failed();
}

// As many as the target has receive slots at the start, and more.
unsigned attack_by_halves(const Where& where) {
  constexpr unsigned kHalves = 140;
  Expectations expectations;
  unsigned sent = 0;
  for (unsigned i = 0; i < kHalves; ++i)
    if (open_queue(where, 1)->send_half(kPacketBytes)) ++sent;
  expectations.check(sent == kHalves, "capsules are sent by half", std::to_string(sent) + " were");
  expect_service(where, expectations, "after " + std::to_string(kHalves) + " capsules that were sent by half");
  return expectations.failed();
}

// Until SIGTERM: the case asks the daemon for its status meanwhile, and takes the time that it needs.
unsigned attack_by_flood(const Where& where) {
  constexpr unsigned kSessions = 4;
  constexpr unsigned kOutstanding = 16;
  Expectations expectations;
  std::vector<Session> sessions;
  for (unsigned i = 0; i < kSessions; ++i) sessions.push_back(connect_all(where));
  std::signal(SIGTERM, [](int) { told_to_end = 1; });
  std::cout << "flooding" << std::endl;

  const auto send = [](HostQueue& queue, uint8_t opcode) {
    Sqe sqe = command(opcode, opcode == nvme_cmd_resv_report ? 1 : 0);
    sqe.sgl1 = keyed(queue, opcode == nvme_cmd_resv_report ? HostQueue::kDataBytes : 4096);
    sqe.cdw10 = opcode == nvme_cmd_resv_report ? HostQueue::kDataBytes / 4 - 1 : uint32_t{NVME_IDENTIFY_CNS_CTRL};
    return queue.send(bytes_of(sqe));
  };
  unsigned answered = 0;
  bool alive = true;
  const auto keep_busy = [&](HostQueue& queue, uint8_t opcode) {
    while (queue.response(milliseconds(0))) {
      ++answered;
      alive &= send(queue, opcode);
    }
  };
  for (Session& session : sessions)
    for (unsigned i = 0; i < kOutstanding; ++i)
      alive &= send(*session.admin, nvme_admin_identify) && send(*session.io, nvme_cmd_resv_report);
  while (alive && told_to_end == 0) {
    for (Session& session : sessions) {
      keep_busy(*session.admin, nvme_admin_identify);
      keep_busy(*session.io, nvme_cmd_resv_report);
    }
  }
  expectations.check(alive, "a flood of Identify and Reservation Report is answered",
                     std::to_string(answered) + " were");
  return expectations.failed();
}

unsigned attack_by_silence(const Where& where) {
  constexpr unsigned kMost = 64;  // connections without Connect, of one address
  Expectations expectations;
  std::vector<std::unique_ptr<HostQueue>> silent;
  const auto begin = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < kMost + 4; ++i) silent.push_back(open_queue(where, static_cast<uint16_t>(i % 2)));
  const auto taken = std::chrono::steady_clock::now() - begin;
  std::cout << "silent connections were opened in "
            << std::chrono::duration_cast<std::chrono::milliseconds>(taken).count() << " ms" << std::endl;
  expectations.check(silent.front()->closed(kPatience), "of too many silent connections the oldest is closed");
  expect_service(where, expectations, "beside silent connections");
  return expectations.failed();
}

unsigned attack_by_taking_no_answers(const Where& where, const std::string& from) {
  Expectations expectations;
  Session session = connect_admin(where);
  enable(session);
  HostQueue io(where.address, {.receives = 1, .reposts = false, .from = from});
  expectations.check(io.connect(bytes_of(cm_request(1))).accepted, "an I/O queue is accepted");
  const auto connected = ask(io, connect_command(io, where, 1, session.cntlid));
  expectations.check(connected && status_of(*connected) == 0, "and connected");
  Sqe read = command(nvme_cmd_read, 1);
  read.sgl1 = keyed(io, HostQueue::kDataBytes);
  read.cdw12 = HostQueue::kDataBytes / 512 - 1;
  for (unsigned i = 0; i + 1 < kQueueEntries; ++i) {
    read.cid = static_cast<uint16_t>(i);
    expectations.check(io.send(bytes_of(read)), "a Read is sent whose answer is not taken");
  }
  std::cout << "taking no answers" << std::endl;
  expectations.check(io.closed(kPatience), "a host that takes no answers is disconnected in the end");
  return expectations.failed();
}

}  // namespace nvmf::lab
