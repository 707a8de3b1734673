// Abort, which no driver at hand sends over fabrics: of commands that wait for their namespace's limit, of one that has
// ended, of what never was.
#include <set>

#include "target/nvme/types.h"
#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

using nvme::Sqe;

constexpr uint32_t kSlowNamespace = 2;  // a command a second
constexpr uint16_t kFirstCid = 100;
constexpr unsigned kReads = 6;

void send_read(HostQueue& queue, uint16_t cid) {
  Sqe sqe = command(nvme_cmd_read, kSlowNamespace);
  sqe.cid = cid;
  sqe.sgl1 = keyed(queue, 512);
  queue.send(bytes_of(sqe));
}

// Bit 0 of the answer; -1 when there is none, or it is no success.
int abort(HostQueue& admin, uint16_t sqid, uint16_t cid) {
  Sqe sqe = command(nvme_admin_abort_cmd);
  sqe.cdw10 = sqid | uint32_t{cid} << 16;
  const auto cqe = ask(admin, sqe);
  return cqe && status_of(*cqe) == 0 ? static_cast<int>(cqe->result & 1) : -1;
}

}  // namespace

unsigned attack_with_abort(const Where& where) {
  Expectations expectations;
  Session session = connect_all(where);
  HostQueue& io = *session.io;
  for (unsigned i = 0; i < kReads; ++i) send_read(io, static_cast<uint16_t>(kFirstCid + i));
  const auto first = io.response(kAnswerTimeout);
  expectations.check(first && status_of(*first) == 0, "a read within the limit is answered");

  std::set<uint16_t> waiting;
  for (unsigned i = 0; i < kReads; ++i) waiting.insert(static_cast<uint16_t>(kFirstCid + i));
  if (first) waiting.erase(first->cid);
  // The last first: the one at the head of the line has a time booked, which the next must get.
  const std::set<uint16_t> named = waiting;
  for (auto cid = named.rbegin(); cid != named.rend(); ++cid) {
    const int result = abort(*session.admin, 1, *cid);
    const auto cqe = io.response(kAnswerTimeout);
    const bool ran = cqe && status_of(*cqe) == 0;  // its second had come
    expectations.check(result == (ran ? 1 : 0), "Abort says whether it aborted", std::to_string(result));
    expectations.check(cqe && (ran || status_of(*cqe) == NVME_SC_ABORT_REQ), "the command is answered accordingly");
    if (cqe) expectations.check(waiting.erase(cqe->cid) == 1, "each command is answered once");
  }
  expectations.check(waiting.empty(), "all have been answered");
  if (first) expectations.check(abort(*session.admin, 1, first->cid) == 1, "a command that has ended is not aborted");
  expectations.check(abort(*session.admin, 1, 9999) == 1, "an identifier that is not in use is not aborted");
  expectations.check(abort(*session.admin, 77, kFirstCid) == 1, "a command of no queue is not aborted");

  send_read(io, kFirstCid);
  const auto after = io.response(kAnswerTimeout);
  expectations.check(after && status_of(*after) == 0, "the namespace serves on after the aborts");
  return expectations.failed();
}

}  // namespace nvmf::lab
