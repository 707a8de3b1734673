#include "tests/lab/programs/host_session.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "target/nvme/types.h"

namespace nvmf::lab {
namespace {

constexpr uint8_t kHostId[16] = {0x6f, 0x1a, 0x7b, 0x0e, 0x52, 0xc2, 0x4d, 0x4a,
                                 0x8b, 0x5e, 0x0a, 0x9d, 0x0c, 0x5e, 0x7f, 0x11};
constexpr uint8_t kSglFlag = static_cast<uint8_t>(nvme::Psdt::SglMptrContiguous) << 6;
// CC: enable, NVM command set, 64-byte submission and 16-byte completion entries.
constexpr uint32_t kEnable = 1 | 6u << 16 | 4u << 20;

}  // namespace

nvme::RdmaCmRequest cm_request(uint16_t qid) {
  nvme::RdmaCmRequest request{};
  request.qid = qid;
  request.hrqsize = kQueueEntries;
  request.hsqsize_z = kQueueEntries - 1;
  request.cntlid = 0;
  return request;
}

nvme::Sqe command(uint8_t opcode, uint32_t nsid) {
  nvme::Sqe sqe{};
  sqe.opcode = opcode;
  sqe.flags = kSglFlag;
  sqe.cid = 0x1234;
  sqe.nsid = nsid;
  return sqe;
}

nvme::SglDescriptor descriptor(nvme::SglType type, nvme::SglSubtype subtype, uint64_t address, uint32_t length_bytes,
                               uint32_t key) {
  nvme::SglDescriptor made{};
  made.address = address;
  for (unsigned byte = 0; byte < 4; ++byte) made.specific[byte] = static_cast<uint8_t>(length_bytes >> 8 * byte);
  if (type == nvme::SglType::KeyedDataBlock)
    for (unsigned byte = 0; byte < 4; ++byte) made.specific[3 + byte] = static_cast<uint8_t>(key >> 8 * byte);
  made.identifier = static_cast<uint8_t>(static_cast<unsigned>(type) << 4 | static_cast<unsigned>(subtype));
  return made;
}

nvme::SglDescriptor keyed(HostQueue& queue, uint32_t length_bytes) {
  return descriptor(nvme::SglType::KeyedDataBlock, nvme::SglSubtype::Address, queue.data_address(), length_bytes,
                    queue.data_key());
}

nvme::ConnectCommand connect_command(HostQueue& queue, const Where& where, uint16_t qid, uint16_t cntlid) {
  nvmf_connect_data data{};
  std::copy(std::begin(kHostId), std::end(kHostId), data.hostid);
  data.cntlid = cntlid;
  where.nqn.copy(data.subsysnqn, sizeof data.subsysnqn - 1);
  where.hostnqn.copy(data.hostnqn, sizeof data.hostnqn - 1);
  std::memcpy(queue.data().data(), &data, sizeof data);

  nvme::ConnectCommand made{};
  made.opcode = nvme_admin_fabrics;
  made.flags = kSglFlag;
  made.cid = 1;
  made.fctype = nvme_fabrics_type_connect;
  made.sgl1 = keyed(queue, sizeof data);
  made.qid = qid;
  made.sqsize_z = kQueueEntries - 1;
  return made;
}

std::unique_ptr<HostQueue> open_queue(const Where& where, uint16_t qid) {
  auto queue = std::make_unique<HostQueue>(where.address);
  const HostQueue::Answer answer = queue->connect(bytes_of(cm_request(qid)));
  if (!answer.accepted) throw std::runtime_error("a well-formed connection request was answered with " + answer.event);
  return queue;
}

Session connect_admin(const Where& where) {
  Session session;
  session.admin = open_queue(where, 0);
  const auto connect = connect_command(*session.admin, where, 0, nvme::kCntlidDynamic);
  session.cntlid = static_cast<uint16_t>(demand(*session.admin, connect, "Connect of the admin queue").result);
  return session;
}

void enable(Session& session) {
  nvme::PropertyCommand set{};
  set.opcode = nvme_admin_fabrics;
  set.flags = kSglFlag;
  set.fctype = nvme_fabrics_type_property_set;
  set.offset = NVME_REG_CC;
  set.value = kEnable;
  demand(*session.admin, set, "Property Set of CC.EN");
}

void add_io_queue(Session& session, const Where& where) {
  session.io = open_queue(where, 1);
  demand(*session.io, connect_command(*session.io, where, 1, session.cntlid), "Connect of I/O queue 1");
}

Session connect_all(const Where& where) {
  Session session = connect_admin(where);
  enable(session);
  add_io_queue(session, where);
  return session;
}

}  // namespace nvmf::lab
