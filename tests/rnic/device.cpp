#include "tests/rnic/device.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/rnic/completion_queue.h"
#include "tests/rnic/operations.h"

namespace nvmf::rnic {
namespace {

constexpr uint64_t kEventNs = 20'000;
constexpr uint64_t kStopNs = 40'000;

}  // namespace

Context::Context(Device& opened) : verbs_context{}, device(opened), events_(sizeof(ibv_async_event)) {
  sz = sizeof(verbs_context);
  fill_in(*this);
  context.device = &opened;
  context.cmd_fd = -1;
  context.async_fd = events_.fd();
  context.num_comp_vectors = 1;
  context.abi_compat = __VERBS_ABI_IS_EXTENDED;
}

void Context::raise(ibv_event_type type, void* element) {
  const uint64_t number = ++raised_;
  untold_[number] = element;
  device.schedule().after(device.schedule().delay_ns(kEventNs), life_, [this, number, type, element] {
    if (untold_.erase(number) == 0) return;
    if (device.is_gone() && type != IBV_EVENT_DEVICE_FATAL) return;
    ibv_async_event event{};
    event.event_type = type;
    event.element.qp = static_cast<ibv_qp*>(element);
    events_.put(&event);
    if (device.is_gone()) close_descriptors();
  });
}

// After the last event that there is to tell: reading gives EIO from now on, and the descriptors are readable for ever.
void Context::close_descriptors() {
  for (CompletionQueue* queue : completion_queues) queue->drop_records();
  for (CompletionChannel* channel : channels) channel->records.close();
  events_.close();
}

bool Context::next_event(ibv_async_event& event) {
  if (!events_.take(&event)) return false;
  if (event.element.qp != nullptr) ++unacknowledged_[event.element.qp];
  return true;
}

void Context::acknowledge(const ibv_async_event& event) {
  if (event.element.qp != nullptr && --unacknowledged_[event.element.qp] < 0)
    device.fabric().fault("ibv_ack_async_event() of an event that was not read, or was acknowledged before");
}

void Context::forget(const void* element, const char* call) {
  std::erase_if(untold_, [&](const auto& event) { return event.second == element; });
  const std::vector<std::byte> records = events_.drain();
  for (size_t offset = 0; offset < records.size(); offset += sizeof(ibv_async_event)) {
    ibv_async_event event;
    std::memcpy(&event, records.data() + offset, sizeof event);
    if (event.element.qp != element) events_.put(&event);
  }
  const auto found = unacknowledged_.find(element);
  if (found == unacknowledged_.end()) return;
  if (found->second > 0)
    device.fabric().fault(std::string(call) + "() would wait for ever: an asynchronous event is not acknowledged");
  unacknowledged_.erase(found);
}

Device::Device(Fabric& fabric, const std::string& device_name, in_addr address, const Profile& profile)
    : ibv_device{}, fabric_(fabric), profile_(profile), addresses_{address} {
  node_type = profile.transport == IBV_TRANSPORT_IWARP ? IBV_NODE_RNIC : IBV_NODE_CA;
  transport_type = profile.transport;
  device_name.copy(name, sizeof name - 1);
}

bool Device::has_address(in_addr address) const {
  return std::ranges::any_of(addresses_, [&](in_addr one) { return one.s_addr == address.s_addr; });
}

void Device::add_address(const std::string& address) {
  in_addr parsed{};
  inet_pton(AF_INET, address.c_str(), &parsed);
  addresses_.push_back(parsed);
}

void Device::remove_address(const std::string& address) {
  in_addr parsed{};
  inet_pton(AF_INET, address.c_str(), &parsed);
  std::erase_if(addresses_, [&](in_addr one) { return one.s_addr == parsed.s_addr; });
}

void Device::set_link(bool up) {
  if (link_up_ == up) return;
  link_up_ = up;
  fabric_.note(up ? "link up" : "link down");
  raise(up ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR);
}

Context& Device::open() {
  contexts_.push_back(std::make_unique<Context>(*this));
  return *contexts_.back();
}

void Device::close(Context& context) {
  if (context.objects != 0)
    fabric_.fault(std::string(name) + ": closed while " + std::to_string(context.objects) + " objects live");
  std::erase_if(contexts_, [&](const auto& one) { return one.get() == &context; });
}

Context& Device::share() {
  const auto found = std::ranges::find_if(contexts_, [](const auto& one) { return one->shared; });
  Context& context = found == contexts_.end() ? open() : **found;
  context.shared = true;
  ++context.users;
  return context;
}

void Device::unshare(Context& context) {
  if (--context.users == 0) close(context);
}

int Device::objects() const {
  int count = 0;
  for (const auto& context : contexts_) count += context->objects;
  return count;
}

void Device::remove() {
  gone_ = true;
  stops_at_ns_ = fabric_.now_ns() + schedule().delay_ns(kStopNs);
  raise(IBV_EVENT_DEVICE_FATAL);
}

void Device::raise(ibv_event_type type) {
  for (const auto& context : contexts_) context->raise(type);
}

ibv_device_attr Device::attributes() const {
  ibv_device_attr attributes{};
  std::strcpy(attributes.fw_ver, "model");
  attributes.max_mr_size = UINT64_MAX;
  attributes.page_size_cap = 0xfffff000;
  attributes.vendor_id = profile_.vendor_id;
  attributes.max_qp = profile_.max_qp;
  attributes.max_qp_wr = profile_.max_qp_wr;
  attributes.device_cap_flags = IBV_DEVICE_MEM_MGT_EXTENSIONS | IBV_DEVICE_RC_RNR_NAK_GEN;
  attributes.max_sge = profile_.max_sge;
  attributes.max_sge_rd = profile_.max_sge;
  attributes.max_cq = profile_.max_cq;
  attributes.max_mr = attributes.max_pd = 1 << 16;
  attributes.max_cqe = profile_.max_cqe;
  attributes.max_qp_rd_atom = attributes.max_qp_init_rd_atom = profile_.max_read_depth;
  attributes.max_srq = profile_.max_srq;
  attributes.max_srq_wr = profile_.max_srq_wr;
  attributes.max_srq_sge = profile_.max_sge;
  attributes.max_pkeys = 1;
  attributes.phys_port_cnt = 1;
  return attributes;
}

ibv_port_attr Device::port_attributes() const {
  ibv_port_attr attributes{};
  attributes.state = link_up_ ? IBV_PORT_ACTIVE : IBV_PORT_DOWN;
  attributes.max_mtu = IBV_MTU_4096;
  attributes.active_mtu = mtu_;
  attributes.gid_tbl_len = 1;
  attributes.pkey_tbl_len = 1;
  attributes.max_msg_sz = 1u << 30;
  attributes.link_layer = IBV_LINK_LAYER_ETHERNET;
  return attributes;
}

// ::ffff:a.b.c.d, as RoCE v2 has it.
ibv_gid Device::gid() const {
  ibv_gid gid{};
  gid.raw[10] = gid.raw[11] = 0xff;
  std::memcpy(gid.raw + 12, &addresses_.front(), 4);
  return gid;
}

}  // namespace nvmf::rnic
