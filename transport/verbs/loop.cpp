#include "transport/verbs/loop.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace nvmf::verbs {
namespace {

constexpr unsigned kGids = 256;
// 4.096 us << 14 = 67 ms until a retry, three of them: a lost packet ends well within the time-out of a transfer.
constexpr uint8_t kAckTimeout = 14;
constexpr uint8_t kRetries = 3;
constexpr uint8_t kHopLimit = 64;

[[noreturn]] void fail(ibv_context* context, uint8_t port, int error, const std::string& what) {
  throw VerbsError(error,
                   std::string(ibv_get_device_name(context->device)) + " port " + std::to_string(port) + ": " + what);
}

bool ipv4_mapped(const ibv_gid& gid) {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(gid.raw, kPrefix, sizeof kPrefix) == 0;
}

bool link_local(const ibv_gid& gid) { return gid.raw[0] == 0xfe && (gid.raw[1] & 0xc0) == 0x80; }

// RoCE v2 before v1; IPv4 before a routable IPv6 address before a link-local one.
int preference(const ibv_gid_entry& entry) {
  const int version = entry.gid_type == IBV_GID_TYPE_ROCE_V2 ? 10 : 0;
  if (ipv4_mapped(entry.gid)) return version + 3;
  return version + (link_local(entry.gid) ? 1 : 2);
}

ibv_gid_entry best_gid(ibv_context* context, uint8_t port) {
  std::vector<ibv_gid_entry> entries(kGids);
  const ssize_t found = ibv_query_gid_table(context, entries.data(), entries.size(), 0);
  entries.resize(found > 0 ? static_cast<size_t>(found) : 0);
  std::erase_if(entries, [&](const ibv_gid_entry& entry) { return entry.port_num != port; });
  if (entries.empty()) fail(context, port, EADDRNOTAVAIL, "has no address yet; give its network interface an address");
  return *std::ranges::max_element(
      entries, [](const ibv_gid_entry& a, const ibv_gid_entry& b) { return preference(a) < preference(b); });
}

ibv_mtu mtu_of_bytes(uint32_t bytes) {
  int mtu = IBV_MTU_256;
  while (mtu < IBV_MTU_4096 && mtu_bytes(static_cast<ibv_mtu>(mtu)) < bytes) ++mtu;
  return static_cast<ibv_mtu>(mtu);
}

void modify(ibv_qp* queue_pair, ibv_qp_attr& attributes, int mask, const char* state) {
  if (const int error = ibv_modify_qp(queue_pair, &attributes, mask))
    throw VerbsError(error, std::string("cannot bring a queue pair to ") + state);
}

QueuePair create_queue_pair(ibv_pd* domain, ibv_cq* completions) {
  ibv_qp_init_attr attributes{};
  attributes.send_cq = attributes.recv_cq = completions;
  attributes.cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = 0};
  attributes.qp_type = IBV_QPT_RC;
  QueuePair queue_pair(ibv_create_qp(domain, &attributes));
  if (!queue_pair) throw VerbsError(errno, "cannot create a queue pair");
  return queue_pair;
}

void connect(ibv_qp* queue_pair, uint32_t peer, const ibv_ah_attr& address, uint32_t path_mtu) {
  ibv_qp_attr to_init{};
  to_init.qp_state = IBV_QPS_INIT;
  to_init.port_num = address.port_num;
  to_init.qp_access_flags = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
  modify(queue_pair, to_init, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS, "INIT");

  ibv_qp_attr to_receive{};
  to_receive.qp_state = IBV_QPS_RTR;
  to_receive.ah_attr = address;
  to_receive.path_mtu = mtu_of_bytes(path_mtu);
  to_receive.dest_qp_num = peer;
  to_receive.max_dest_rd_atomic = 1;
  to_receive.min_rnr_timer = 12;
  modify(queue_pair, to_receive,
         IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
             IBV_QP_MIN_RNR_TIMER,
         "RTR");

  ibv_qp_attr to_send{};
  to_send.qp_state = IBV_QPS_RTS;
  to_send.timeout = kAckTimeout;
  to_send.retry_cnt = kRetries;
  to_send.rnr_retry = kRetries;
  to_send.max_rd_atomic = 1;
  modify(queue_pair, to_send,
         IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC,
         "RTS");
}

}  // namespace

ibv_ah_attr address_of_port(ibv_context* context, uint8_t port) {
  if (context->device->transport_type == IBV_TRANSPORT_IWARP)
    fail(context, port, EOPNOTSUPP, "a self-test connects queue pairs to their own port, which iWARP does not support");
  const ibv_port_attr attributes = query_port(context, port);
  if (attributes.state != IBV_PORT_ACTIVE)
    fail(context, port, ENETDOWN,
         std::string("is ") + ibv_port_state_str(attributes.state) + "; bring its network interface up");
  ibv_ah_attr address{};
  address.port_num = port;
  address.dlid = attributes.lid;
  if (attributes.link_layer != IBV_LINK_LAYER_ETHERNET && attributes.lid != 0) return address;
  const ibv_gid_entry gid = best_gid(context, port);
  address.is_global = 1;
  address.grh.dgid = gid.gid;
  address.grh.sgid_index = static_cast<uint8_t>(gid.gid_index);
  address.grh.hop_limit = kHopLimit;
  return address;
}

LoopPair::LoopPair(ibv_pd* domain, const ibv_ah_attr& address, uint32_t path_mtu)
    : completions(create_completion_queue(domain->context, 4, nullptr)),
      near(create_queue_pair(domain, completions.get())),
      far(create_queue_pair(domain, completions.get())) {
  connect(near.get(), far->qp_num, address, path_mtu);
  connect(far.get(), near->qp_num, address, path_mtu);
}

}  // namespace nvmf::verbs
