// A host whose write sits at a slow disk while its controller ends: what it is told then, and that it may write again
// by another path. Namespace 1 delays its writes, namespace 2 is another way to the same blocks, without a delay.
#include <algorithm>
#include <cstring>
#include <map>
#include <thread>

#include "target/nvme/cross_controller_reset.h"
#include "target/nvme/types.h"
#include "tests/lab/programs/hostile.h"

namespace nvmf::lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kSlow = 1;
constexpr uint32_t kQuick = 2;
constexpr uint32_t kBlockBytes = 4096;
constexpr uint16_t kWriteCid = 77;
constexpr milliseconds kDelay{6000};  // of the disk (the case sets it up)
constexpr milliseconds kPatience{35'000};
constexpr uint32_t kKatoMs = 2000;

constexpr std::byte kOld{0x0d};
constexpr std::byte kNew{0x4e};

void set_cc(HostQueue& admin, uint32_t cc) {
  nvme::PropertyCommand set{};
  set.opcode = nvme_admin_fabrics;
  set.flags = command(0).flags;
  set.fctype = nvme_fabrics_type_property_set;
  set.offset = NVME_REG_CC;
  set.value = cc;
  ask(admin, set);
}

uint32_t csts(HostQueue& admin) {
  nvme::PropertyCommand get{};
  get.opcode = nvme_admin_fabrics;
  get.flags = command(0).flags;
  get.fctype = nvme_fabrics_type_property_get;
  get.offset = NVME_REG_CSTS;
  const auto cqe = ask(admin, get);
  return cqe ? static_cast<uint32_t>(cqe->result) : UINT32_MAX;
}

bool wait_for_csts(HostQueue& admin, uint32_t mask, uint32_t value) {
  for (const auto end = Clock::now() + kPatience; Clock::now() < end; std::this_thread::sleep_for(milliseconds(5)))
    if ((csts(admin) & mask) == value) return true;
  return false;
}

// Each ends the controller, or its queue, and returns when the host is told that it has ended.
bool reset(Session& session, const Where&) {
  set_cc(*session.admin, 0);
  return wait_for_csts(*session.admin, NVME_CSTS_RDY_MASK << NVME_CSTS_RDY_SHIFT, 0);
}
bool shut_down(Session& session, const Where&) {
  constexpr uint32_t kEnabled = 1 | 6u << NVME_CC_IOSQES_SHIFT | 4u << NVME_CC_IOCQES_SHIFT;
  set_cc(*session.admin, kEnabled | uint32_t{NVME_CC_SHN_NORMAL} << NVME_CC_SHN_SHIFT);
  return wait_for_csts(*session.admin, NVME_CSTS_SHST_MASK << NVME_CSTS_SHST_SHIFT,
                       uint32_t{NVME_CSTS_SHST_CMPLT} << NVME_CSTS_SHST_SHIFT);
}
bool disconnect(Session& session, const Where&) {
  nvme::DisconnectCommand sqe{};
  sqe.opcode = nvme_admin_fabrics;
  sqe.flags = command(0).flags;
  sqe.cid = kWriteCid + 1;
  sqe.fctype = nvme_fabrics_type_disconnect;
  session.io->send(bytes_of(sqe));
  for (;;) {
    const auto cqe = session.io->response(kPatience);
    if (!cqe) return false;
    if (cqe->cid == sqe.cid) return cqe->status == 0;
  }
}
bool fall_silent(Session& session, const Where&) {
  return session.io->closed(kPatience) || session.admin->closed(kPatience);
}

// Identify Controller, of which CIU and CIRN name the controller beside its identifier.
bool name_in(nvme::Sqe& sqe, Session& session) {
  nvme::Sqe identify = command(nvme_admin_identify);
  identify.cdw10 = NVME_IDENTIFY_CNS_CTRL;
  identify.sgl1 = keyed(*session.admin, NVME_IDENTIFY_DATA_SIZE);
  const auto cqe = ask(*session.admin, identify);
  if (!cqe || cqe->status != 0) return false;
  const std::byte* const data = session.admin->data().data();
  sqe.cdw10 = session.cntlid | std::to_integer<uint32_t>(data[nvme::kIdentifyCiu]) << 16;
  std::memcpy(&sqe.cdw12, data + nvme::kIdentifyCirn, 4);
  std::memcpy(&sqe.cdw13, data + nvme::kIdentifyCirn + 4, 4);
  return true;
}

// The host's other controller is asked for it; then its event is awaited, and its log page is read.
bool reset_by_another(Session& session, const Where& where) {
  Session other = connect_all(where);
  nvme::Sqe reset = command(nvme::kAdminCrossControllerReset);
  nvme::Sqe enable_event = command(nvme_admin_set_features);
  enable_event.cdw10 = NVME_FEAT_FID_ASYNC_EVENT;
  enable_event.cdw11 = nvme::kCrossControllerResetNotices;
  if (!name_in(reset, session) || !ask(*other.admin, enable_event)) return false;
  other.admin->send(bytes_of(command(nvme_admin_async_event)));
  const auto asked = ask(*other.admin, reset);
  if (!asked || asked->status != 0 || asked->result != 0) return false;
  const auto event = other.admin->response(kPatience);
  if (!event || (event->result >> 8 & 0xff) != nvme::kNoticeCrossControllerResetCompleted) return false;

  nvme::Sqe log = command(nvme_admin_get_log_page, NVME_NSID_ALL);
  log.cdw10 = nvme::kLogCrossControllerReset | 3u << 16;
  log.sgl1 = keyed(*other.admin, 16);
  const auto read = ask(*other.admin, log);
  nvme::CrossControllerResetLogEntry entry{};
  std::memcpy(&entry, other.admin->data().data() + sizeof(nvme::CrossControllerResetLogHeader), sizeof(entry));
  return read && read->status == 0 && entry.impacted == session.cntlid &&
         entry.status == nvme::CrossControllerResetStatus::Successful;
}

const std::map<std::string, bool (*)(Session&, const Where&)> kEnds = {{"reset", reset},
                                                                       {"shutdown", shut_down},
                                                                       {"Disconnect", disconnect},
                                                                       {"keep-alive time-out", fall_silent},
                                                                       {"Cross-Controller Reset", reset_by_another}};

void set_keep_alive(Session& session) {
  nvme::Sqe sqe = command(nvme_admin_set_features);
  sqe.cdw10 = NVME_FEAT_FID_KATO;
  sqe.cdw11 = kKatoMs;
  ask(*session.admin, sqe);
}

nvme::Sqe transfer(HostQueue& io, uint8_t opcode, uint32_t nsid) {
  nvme::Sqe sqe = command(opcode, nsid);
  sqe.cid = kWriteCid;
  sqe.sgl1 = keyed(io, kBlockBytes);
  return sqe;
}

void end_with_late_write(Expectations& expectations, const Where& where, const std::string& how) {
  Session old = connect_all(where);
  if (how == "keep-alive time-out") set_keep_alive(old);
  std::ranges::fill(old.io->data().first(kBlockBytes), kOld);
  nvme::Sqe write = transfer(*old.io, nvme_cmd_write, kSlow);
  write.cdw12 = kBlockBytes / 512 - 1;
  const auto begin = Clock::now();
  old.io->send(bytes_of(write));
  std::this_thread::sleep_for(milliseconds(500));  // it reaches the disk

  expectations.check(kEnds.at(how)(old, where), how + ": the host is told that it has ended");
  const auto told = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
  std::cout << "     after " << told.count() << " ms" << std::endl;

  const Session other = connect_all(where);
  HostQueue& io = *other.io;
  std::ranges::fill(io.data().first(kBlockBytes), kNew);
  nvme::Sqe newer = transfer(io, nvme_cmd_write, kQuick);
  newer.cdw12 = kBlockBytes / 512 - 1;
  const auto written = ask(io, newer);
  expectations.check(written && written->status == 0, how + ": it writes again by another path");

  std::this_thread::sleep_until(begin + kDelay + milliseconds(2000));
  nvme::Sqe read = transfer(io, nvme_cmd_read, kQuick);
  read.cdw12 = kBlockBytes / 512 - 1;
  const auto got = ask(io, read);
  const bool is_new = std::ranges::all_of(io.data().first(kBlockBytes), [](std::byte b) { return b == kNew; });
  expectations.check(got && got->status == 0 && is_new, how + ": the older write does not land on the newer one");
}

}  // namespace

unsigned attack_with_late_write(const Where& where) {
  Expectations expectations;
  for (const auto& end : kEnds) end_with_late_write(expectations, where, end.first);
  return expectations.failed();
}

}  // namespace nvmf::lab
