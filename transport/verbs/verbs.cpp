#include "transport/verbs/verbs.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace nvmf::verbs {
namespace {

std::string on(ibv_context* context, const std::string& what) {
  return std::string(ibv_get_device_name(context->device)) + ": " + what;
}

template <class Handle>
Handle check(Handle handle, ibv_context* context, const std::string& what) {
  if (!handle) throw VerbsError(errno, on(context, what));
  return handle;
}

}  // namespace

void let_go_of_gone_devices() { setenv("RDMAV_ALLOW_DISASSOC_DESTROY", "1", 1); }

ProtectionDomain allocate_protection_domain(ibv_context* context) {
  return check(ProtectionDomain(ibv_alloc_pd(context)), context, "cannot allocate a protection domain");
}

MemoryRegion register_memory(ibv_pd* domain, void* address, size_t length, int access) {
  MemoryRegion region(ibv_reg_mr(domain, address, length, static_cast<unsigned>(access)));
  if (region) return region;
  const int error = errno;
  std::string what = "cannot register " + std::to_string(length) + " bytes of memory";
  if (error == ENOMEM || error == EPERM)
    what +=
        " (raise the locked-memory limit: LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited; if that is "
        "unlimited, the machine or the RNIC does not have enough memory: make \"rdma\".\"dram_pool_mib\" "
        "smaller)";
  throw VerbsError(error, on(domain->context, what));
}

int read_sink_access(ibv_context* context) {
  const bool is_iwarp = context->device->transport_type == IBV_TRANSPORT_IWARP;
  return IBV_ACCESS_LOCAL_WRITE | (is_iwarp ? IBV_ACCESS_REMOTE_WRITE : 0);
}

bool prefetch(ibv_mr* region) {
  // In pieces: a device may limit the length of one request.
  constexpr size_t kPiece = size_t{1} << 30;
  auto* start = static_cast<std::byte*>(region->addr);
  for (size_t offset = 0; offset < region->length; offset += kPiece) {
    const size_t length = std::min(kPiece, region->length - offset);
    ibv_sge piece{reinterpret_cast<uintptr_t>(start + offset), static_cast<uint32_t>(length), region->lkey};
    if (ibv_advise_mr(region->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, IBV_ADVISE_MR_FLAG_FLUSH, &piece, 1) != 0)
      return false;
  }
  return true;
}

CompletionChannel create_completion_channel(ibv_context* context) {
  auto channel =
      check(CompletionChannel(ibv_create_comp_channel(context)), context, "cannot create a completion channel");
  if (fcntl(channel->fd, F_SETFL, fcntl(channel->fd, F_GETFL) | O_NONBLOCK) != 0)
    throw VerbsError(errno, on(context, "cannot make the completion channel non-blocking"));
  return channel;
}

ibv_cq* next_completion_event(ibv_comp_channel* channel) {
  ibv_cq* queue = nullptr;
  void* context = nullptr;
  return ibv_get_cq_event(channel, &queue, &context) == 0 ? queue : nullptr;
}

CompletionQueue create_completion_queue(ibv_context* context, int entries, ibv_comp_channel* channel) {
  return check(CompletionQueue(ibv_create_cq(context, entries, nullptr, channel, 0)), context,
               "cannot create a completion queue of " + std::to_string(entries) + " entries");
}

SharedReceiveQueue create_shared_receive_queue(ibv_pd* domain, uint32_t max_work_requests, uint32_t max_sge) {
  ibv_srq_init_attr attributes{};
  attributes.attr.max_wr = max_work_requests;
  attributes.attr.max_sge = max_sge;
  return check(SharedReceiveQueue(ibv_create_srq(domain, &attributes)), domain->context,
               "cannot create a shared receive queue of " + std::to_string(max_work_requests) + " entries");
}

std::string lack_of_shared_receive_queues(const ibv_device& device, const ibv_device_attr& attributes) {
  if (attributes.max_srq > 0 && attributes.max_srq_wr > 0) return {};
  std::error_code unknown;
  const auto link = std::filesystem::read_symlink(std::string(device.ibdev_path) + "/device/driver", unknown);
  const std::string driver = unknown ? "" : " (" + link.filename().string() + ")";
  return std::string(device.name) + ": this RNIC's driver" + driver +
         " has no shared receive queues, which nvmf-p2p needs: use an RNIC whose driver has them; the config's README "
         "names the "
         "families";
}

ibv_device_attr query_device(ibv_context* context) {
  ibv_device_attr attributes{};
  if (int error = ibv_query_device(context, &attributes))
    throw VerbsError(error, on(context, "cannot query the device"));
  return attributes;
}

ibv_port_attr query_port(ibv_context* context, uint8_t port) {
  ibv_port_attr attributes{};
  if (int error = ibv_query_port(context, port, &attributes))
    throw VerbsError(error, on(context, "cannot query port " + std::to_string(port)));
  return attributes;
}

bool supports_on_demand_paging(ibv_context* context) {
  ibv_device_attr_ex attributes{};
  if (ibv_query_device_ex(context, nullptr, &attributes) != 0) return false;
  constexpr uint32_t kNeeded = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ;
  return (attributes.odp_caps.general_caps & IBV_ODP_SUPPORT) != 0 &&
         (attributes.odp_caps.per_transport_caps.rc_odp_caps & kNeeded) == kNeeded;
}

uint32_t path_mtu_bytes(ibv_qp* queue_pair) {
  ibv_qp_attr attributes{};
  ibv_qp_init_attr initial{};
  if (int error = ibv_query_qp(queue_pair, &attributes, IBV_QP_PATH_MTU, &initial))
    throw VerbsError(error, on(queue_pair->context, "cannot query the path MTU of a queue pair"));
  return mtu_bytes(attributes.path_mtu);
}

}  // namespace nvmf::verbs
