#include "p2p/rdma_loop.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "target/core/datapath/limits.h"

namespace nvmf::p2p {
namespace {

using Clock = std::chrono::steady_clock;

// A transfer takes microseconds on hardware; one that takes much longer will time out.
constexpr auto kPollEagerly = std::chrono::milliseconds(5);
constexpr auto kPollPause = std::chrono::milliseconds(1);
constexpr unsigned kGids = 256;
// 4.096 us << 14 = 67 ms until a retry, three of them: a lost packet ends well within the time-out of a transfer.
constexpr uint8_t kAckTimeout = 14;
constexpr uint8_t kRetries = 3;
constexpr uint8_t kHopLimit = 64;

[[noreturn]] void fail(ibv_context* context, uint8_t port, int error, const std::string& what) {
  throw PeerMemoryError(
      error, std::string(ibv_get_device_name(context->device)) + " port " + std::to_string(port) + ": " + what);
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

std::byte* allocate_pages(uint64_t bytes) {
  void* memory = std::aligned_alloc(core::limits::kPageBytes, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  return static_cast<std::byte*>(memory);
}

ibv_mtu mtu_of_bytes(uint32_t bytes) {
  int mtu = IBV_MTU_256;
  while (mtu < IBV_MTU_4096 && verbs::mtu_bytes(static_cast<ibv_mtu>(mtu)) < bytes) ++mtu;
  return static_cast<ibv_mtu>(mtu);
}

void modify(ibv_qp* queue_pair, ibv_qp_attr& attributes, int mask, const char* state) {
  if (const int error = ibv_modify_qp(queue_pair, &attributes, mask))
    throw verbs::VerbsError(error, std::string("cannot bring a queue pair to ") + state);
}

verbs::QueuePair create_queue_pair(ibv_pd* domain, ibv_cq* completions) {
  ibv_qp_init_attr attributes{};
  attributes.send_cq = attributes.recv_cq = completions;
  attributes.cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1, .max_inline_data = 0};
  attributes.qp_type = IBV_QPT_RC;
  verbs::QueuePair queue_pair(ibv_create_qp(domain, &attributes));
  if (!queue_pair) throw verbs::VerbsError(errno, "cannot create a queue pair");
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
    fail(context, port, EOPNOTSUPP,
         "the self-test connects queue pairs to their own port, which iWARP does not support");
  const ibv_port_attr attributes = verbs::query_port(context, port);
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

struct RdmaLoop::Pair {
  verbs::CompletionQueue completions;
  verbs::QueuePair near;
  verbs::QueuePair far;

  Pair(ibv_pd* domain, const ibv_ah_attr& address, uint32_t path_mtu)
      : completions(verbs::create_completion_queue(domain->context, 4, nullptr)),
        near(create_queue_pair(domain, completions.get())),
        far(create_queue_pair(domain, completions.get())) {
    connect(near.get(), far->qp_num, address, path_mtu);
    connect(far.get(), near->qp_num, address, path_mtu);
  }

  // Empty when done.
  std::string wait(std::chrono::milliseconds timeout) const {
    const auto start = Clock::now();
    ibv_wc completion{};
    while (true) {
      const int count = ibv_poll_cq(completions.get(), 1, &completion);
      if (count < 0) return "the completion queue failed";
      if (count > 0) break;
      const auto waited = Clock::now() - start;
      if (waited > timeout) return "no completion within " + std::to_string(timeout.count()) + " ms";
      if (waited < kPollEagerly)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(kPollPause);
    }
    if (completion.status == IBV_WC_SUCCESS) return {};
    return std::string("the RNIC reported \"") + ibv_wc_status_str(completion.status) + "\"";
  }
};

RdmaLoop::RdmaLoop(ibv_context* context, uint8_t port, const CmbMapping& mapping, CmbRange range, uint64_t dram_bytes,
                   std::chrono::milliseconds timeout)
    : context_(context),
      port_(port),
      address_(address_of_port(context, port)),
      range_(range),
      timeout_(timeout),
      memory_(allocate_pages(dram_bytes), std::free),
      dram_(memory_.get(), dram_bytes),
      domain_(verbs::allocate_protection_domain(context)),
      cmb_(domain_.get(), mapping),
      dram_region_(verbs::register_memory(domain_.get(), dram_.data(), dram_.size(),
                                          IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE)) {}

RdmaLoop::~RdmaLoop() = default;

RdmaLoop::Pair& RdmaLoop::pair_for(uint32_t path_mtu) {
  std::unique_ptr<Pair>& pair = pairs_[path_mtu];
  if (!pair) pair = std::make_unique<Pair>(domain_.get(), address_, path_mtu);
  return *pair;
}

std::string RdmaLoop::copy(const Transfer& transfer) {
  auto* near = static_cast<std::byte*>(cmb_.get()->addr) + range_.offset_bytes + transfer.cmb_offset;
  ibv_sge element{reinterpret_cast<uintptr_t>(near), transfer.length, cmb_.get()->lkey};
  ibv_send_wr request{};
  request.sg_list = &element;
  request.num_sge = 1;
  request.opcode = transfer.direction == Direction::HostReads ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ;
  request.send_flags = IBV_SEND_SIGNALED;
  request.wr.rdma.remote_addr = reinterpret_cast<uintptr_t>(dram_.data() + transfer.dram_offset);
  request.wr.rdma.rkey = dram_region_->rkey;
  std::string error;
  try {
    Pair& pair = pair_for(transfer.path_mtu);
    ibv_send_wr* refused = nullptr;
    const int posted = ibv_post_send(pair.near.get(), &request, &refused);
    error = posted != 0 ? std::string("cannot post: ") + std::strerror(posted) : pair.wait(timeout_);
  } catch (const verbs::VerbsError& failure) {
    error = failure.what();
  }
  // A failed queue pair cannot be used again; its destruction also ends outstanding transfers.
  if (!error.empty()) pairs_.erase(transfer.path_mtu);
  return error;
}

}  // namespace nvmf::p2p
