// A host whose write sits at a slow disk while its controller ends: what it is told then, and that it may write again
// by another path. Namespaces 1 to 3 are ways to the same blocks: 1 delays its writes, 2 does not, 3 holds them until
// the case lets them go.
#include <algorithm>
#include <cstring>
#include <filesystem>
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
constexpr uint32_t kHeld = 3;
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

// The host's other controller is asked for the reset that `reset` names; false unless it will end.
bool ask_for(Session& other, const nvme::Sqe& reset) {
  nvme::Sqe enable_event = command(nvme_admin_set_features);
  enable_event.cdw10 = NVME_FEAT_FID_ASYNC_EVENT;
  enable_event.cdw11 = nvme::kCrossControllerResetNotices;
  if (!ask(*other.admin, enable_event)) return false;
  other.admin->send(bytes_of(command(nvme_admin_async_event)));
  const auto asked = ask(*other.admin, reset);
  return asked && asked->status == 0 && asked->result == 0;
}

// Its event is awaited, and its log page is read.
bool await_end(Session& other, const nvme::Sqe& reset) {
  const auto event = other.admin->response(kPatience);
  if (!event || (event->result >> 8 & 0xff) != nvme::kNoticeCrossControllerResetCompleted) return false;

  nvme::Sqe log = command(nvme_admin_get_log_page, NVME_NSID_ALL);
  log.cdw10 = nvme::kLogCrossControllerReset | 3u << 16;
  log.sgl1 = keyed(*other.admin, 16);
  const auto read = ask(*other.admin, log);
  nvme::CrossControllerResetLogEntry entry{};
  std::memcpy(&entry, other.admin->data().data() + sizeof(nvme::CrossControllerResetLogHeader), sizeof(entry));
  return read && read->status == 0 && entry.impacted == (reset.cdw10 & 0xffff) &&
         entry.status == nvme::CrossControllerResetStatus::Successful;
}

bool reset_by_another(Session& session, const Where& where) {
  Session other = connect_all(where);
  nvme::Sqe reset = command(nvme::kAdminCrossControllerReset);
  return name_in(reset, session) && ask_for(other, reset) && await_end(other, reset);
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

// Its answer is not awaited; it reaches the disk before this returns.
void write(HostQueue& io, uint32_t nsid, std::byte content) {
  std::ranges::fill(io.data().first(kBlockBytes), content);
  nvme::Sqe sqe = transfer(io, nvme_cmd_write, nsid);
  sqe.cdw12 = kBlockBytes / 512 - 1;
  io.send(bytes_of(sqe));
  std::this_thread::sleep_for(milliseconds(500));
}

bool write_and_wait(HostQueue& io, std::byte content) {
  std::ranges::fill(io.data().first(kBlockBytes), content);
  nvme::Sqe sqe = transfer(io, nvme_cmd_write, kQuick);
  sqe.cdw12 = kBlockBytes / 512 - 1;
  const auto written = ask(io, sqe);
  return written && written->status == 0;
}

bool reads(HostQueue& io, std::byte content) {
  nvme::Sqe sqe = transfer(io, nvme_cmd_read, kQuick);
  sqe.cdw12 = kBlockBytes / 512 - 1;
  const auto read = ask(io, sqe);
  return read && read->status == 0 &&
         std::ranges::all_of(io.data().first(kBlockBytes), [&](std::byte b) { return b == content; });
}

void end_with_late_write(Expectations& expectations, const Where& where, const std::string& how) {
  Session old = connect_all(where);
  if (how == "keep-alive time-out") set_keep_alive(old);
  const auto begin = Clock::now();
  write(*old.io, kSlow, kOld);

  expectations.check(kEnds.at(how)(old, where), how + ": the host is told that it has ended");
  const auto told = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
  std::cout << "     after " << told.count() << " ms" << std::endl;

  const Session other = connect_all(where);
  expectations.check(write_and_wait(*other.io, kNew), how + ": it writes again by another path");
  std::this_thread::sleep_until(begin + kDelay + milliseconds(2000));
  expectations.check(reads(*other.io, kNew), how + ": the older write does not land on the newer one");
}

// Command Quiesce Time after the target has noticed the loss, which may take twice KATO, because traffic counts.
bool wait_out(Session& other) {
  nvme::Sqe identify = command(nvme_admin_identify);
  identify.cdw10 = NVME_IDENTIFY_CNS_CTRL;
  identify.sgl1 = keyed(*other.admin, NVME_IDENTIFY_DATA_SIZE);
  const auto cqe = ask(*other.admin, identify);
  if (!cqe || cqe->status != 0) return false;
  uint16_t quiesce_ms = 0;
  std::memcpy(&quiesce_ms, other.admin->data().data() + nvme::kIdentifyCqt, sizeof quiesce_ms);
  std::this_thread::sleep_for(milliseconds(2 * kKatoMs + quiesce_ms));
  return quiesce_ms != 0;
}

// What the case has to do now; it says that it is done by a file of that name.
void wait_for(const std::string& folder, const std::string& step) {
  std::cout << "     " << step << std::endl;
  while (!std::filesystem::exists(folder + "/" + step)) std::this_thread::sleep_for(milliseconds(20));
}

// The first path falls silent while the disk holds a write; the host goes on by the second one.
void lose_path(Expectations& expectations, const Where& first, const Where& second, const std::string& folder,
               bool has_reset) {
  const std::string how = has_reset ? "Cross-Controller Reset by the other path" : "KATO and CQT";
  Session old = connect_all(first);
  if (!has_reset) set_keep_alive(old);
  nvme::Sqe reset = command(nvme::kAdminCrossControllerReset);
  expectations.check(name_in(reset, old), how + ": the controller tells its name");
  write(*old.io, kHeld, kOld);
  wait_for(folder, has_reset ? "silence-1" : "silence-2");

  Session other = connect_all(second);
  if (has_reset) {
    expectations.check(ask_for(other, reset), how + ": the reset has begun");
    expectations.check(!other.admin->response(milliseconds(1000)),
                       how + ": it does not end while the disk holds the write");
  }
  wait_for(folder, has_reset ? "release-1" : "release-2");
  expectations.check(has_reset ? await_end(other, reset) : wait_out(other),
                     how + ": the lost controller can write no more");
  expectations.check(write_and_wait(*other.io, kNew), how + ": it writes again by another path");
  std::this_thread::sleep_for(milliseconds(2000));
  expectations.check(reads(*other.io, kNew), how + ": the older write does not land on the newer one");
  wait_for(folder, has_reset ? "again-1" : "again-2");
}

}  // namespace

unsigned attack_with_late_write(const Where& where) {
  Expectations expectations;
  for (const auto& end : kEnds) end_with_late_write(expectations, where, end.first);
  return expectations.failed();
}

unsigned attack_with_late_write_on_lost_path(const Where& where, const std::string& other_address,
                                             const std::string& folder, bool also_waits) {
  Where second = where;
  second.address = {other_address};
  Expectations expectations;
  lose_path(expectations, where, second, folder, true);
  if (also_waits) lose_path(expectations, where, second, folder, false);
  return expectations.failed();
}

}  // namespace nvmf::lab
