#include "tests/protocol/host.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "target/core/command/abort.h"
#include "target/core/command/command.h"
#include "target/core/command/fused.h"
#include "target/core/datapath/scratch.h"

namespace nvmf::test {

void Disk::submit(core::Io& io) {
  seen.push_back({io.kind, io.slba, io.blocks, io.fua, io.deallocate, io.range_count});
  if (hold) {
    held_.push_back(&io);
  } else {
    transfer(io);
    io.done(io, answer);
  }
}

void Disk::transfer(core::Io& io) {
  if (blocks.empty()) return;
  std::byte* const begin = blocks.data() + (io.slba << lba_shift);
  if (io.kind == core::IoKind::Read) std::memcpy(io.data.address, begin, io.data.length_bytes);
  if (io.kind == core::IoKind::Write) std::memcpy(begin, io.data.address, io.data.length_bytes);
}

void Disk::complete_all() {
  for (core::Io* io : std::exchange(held_, {})) {
    transfer(*io);
    io->done(*io, answer);
  }
}

core::TargetOptions World::default_options() {
  return {.max_transfer_bytes = 65536, .max_queue_depth = 128, .max_io_queues = 4, .in_capsule_bytes = 4096};
}

namespace {

core::Target& with_ports(core::Target& target) {
  target.add_port({.id = 1, .address = "192.0.2.1", .service = 4420});
  target.add_port({.id = 2, .address = "2001:db8::1", .service = 4421, .ipv6 = true});
  return target;
}

core::NamespaceOptions namespace_1() {
  return {.nsid = 1,
          .lba_shift = 9,
          .block_count = World::kBlocks,
          .uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
          .nguid = {0x21, 0x22, 0x23},
          .eui64 = {0x31, 0x32},
          .volatile_write_cache = true,
          .copy = core::composed_copy_limits(9),
          .optimal_io_boundary_blocks = 256,
          .storage = "eui.0011223344556677",
          .quiesce_ms = 0};
}

core::NamespaceOptions namespace_3() {
  return {.nsid = 3,
          .lba_shift = 12,
          .block_count = World::kBlocks,
          .copy = core::composed_copy_limits(12),
          .quiesce_ms = 0};
}

}  // namespace

World::World(const core::TargetOptions& options)
    : target(options),
      subsystem(with_ports(target).add_subsystem({.nqn = kNqn,
                                                  .serial = "SN-0001",
                                                  .model = "Example disks",
                                                  .ports = {1, 2},
                                                  .allow_any_host = true,
                                                  .allowed_hosts = {},
                                                  .max_controllers = 3})),
      other_subsystem(target.add_subsystem({.nqn = kOtherNqn,
                                            .serial = "SN-0002",
                                            .model = "Example disks",
                                            .ports = {2},
                                            .allow_any_host = false,
                                            .allowed_hosts = {kHostNqn}})) {
  target.on_event = [this](const core::Event& event) { events.push_back(event.message); };
  subsystem.add_namespace(namespace_1());
  subsystem.add_namespace(namespace_3());
  table.max_transfer_bytes = other_table.max_transfer_bytes = options.max_transfer_bytes;
  add_to_table(table, subsystem, namespace_1(), disk_1, fused_turns_1);
  add_to_table(table, subsystem, namespace_3(), disk_3, fused_turns_3);
}

void World::disperse() {
  core::NamespaceOptions options = *subsystem.find_namespace(1);
  options.nsid = kDispersedNsid;
  other_subsystem.add_namespace(options);
  add_to_table(other_table, other_subsystem, options, disk_1, fused_turns_1);
}

void World::add_to_table(core::IoNamespaceTable& table_of, core::Subsystem& owner,
                         const core::NamespaceOptions& options, Disk& disk, core::FusedTurns& turns) {
  auto ns = std::make_unique<core::IoNamespace>();
  ns->nsid = options.nsid;
  ns->lba_shift = options.lba_shift;
  ns->block_count = options.block_count;
  ns->channel = &disk;
  // Namespace 1's disk has more commands of its own than namespace 3's.
  ns->supports_deallocate = ns->supports_write_zeroes = &disk == &disk_1;
  ns->copy = options.copy;
  gates_.push_back(std::make_unique<core::WriteGate>());
  ns->gate = gates_.back().get();
  turns.add(*ns->gate, nullptr);
  device_errors_.push_back(std::make_unique<core::DeviceErrors>(
      nullptr, [&owner, nsid = options.nsid](core::DeviceError error) { owner.device_failed(nsid, error); }));
  ns->device_errors = device_errors_.back().get();
  if (table_of.by_nsid.size() < options.nsid) table_of.by_nsid.resize(options.nsid);
  table_of.by_nsid[options.nsid - 1] = ns.get();
  namespaces_.push_back(std::move(ns));
}

Wire::Wire(World& world, uint16_t qid, uint16_t port_id) : world_(world), port_id_(port_id) {
  queue.target = &world.target;
  queue.link = this;
  queue.qid = qid;
  queue.depth = qid == 0 ? core::limits::kAdminQueueDepth : world.target.options().max_queue_depth;
  queue.in_capsule_bytes = qid == 0 ? 0 : world.target.options().in_capsule_bytes;
  queue.path_mtu = 4096;
}

Wire::~Wire() { close(); }

namespace {

// What commands leave behind in a transport's request object, which serves one after the other.
void leave_traces(core::Request& request) {
  request.execute = [](core::Request&) { FAIL("the executor of another command"); };
  request.transfer = core::Transfer::HostToController;
  request.processor_needs_data = request.awaits_event = true;
  request.length_bytes = request.scratch_bytes = 0x4321;
  request.error_location = 0x321;
  request.cqe.result = 0x4321'4321'4321;
  request.kind = core::IoKind::WriteUncorrectable;
  request.fua = request.deallocate = true;
  request.slba = 0x4321'4321'4321;
  request.blocks = request.range_count = 0x4321;
  request.done = [](core::Io&, Status) { FAIL("the end of another command"); };
  request.step.fua = request.step.deallocate = true;
  request.step.range = request.step.blocks_done = 0x4321;
  request.step.destination = 0x4321;
  request.step.status = Status(NVME_SC_INTERNAL);
  request.fused_has_data = true;
  request.fused_status = Status(NVME_SC_INTERNAL);
}

}  // namespace

size_t Wire::post(Sqe sqe, Bytes memory, Bytes in_capsule) {
  auto exchange = std::make_unique<Exchange>();
  leave_traces(*exchange);
  exchange->capsule = sqe;
  exchange->capsule.cid = next_cid_++;
  if (sqe.sgl1.identifier == 0) {
    auto& sgl = exchange->capsule.sgl1;
    sgl.address = 0x1000;
    sgl.identifier = static_cast<uint8_t>(nvme::SglType::KeyedDataBlock) << 4;
    for (unsigned i = 0; i < 3; ++i) sgl.specific[i] = static_cast<uint8_t>(memory.size() >> 8 * i);
  }
  exchange->memory = std::move(memory);
  exchange->in_capsule = std::move(in_capsule);
  exchanges_.push_back(std::move(exchange));
  receive(*exchanges_.back());
  return exchanges_.size() - 1;
}

// What the transport does with a capsule.
void Wire::receive(Exchange& exchange) {
  exchange.queue = &queue;
  exchange.sqe = &exchange.capsule;
  exchange.respond = respond;
  Status status = core::parse(exchange);
  exchange.dropped = status == core::kNoAnswer;
  if (exchange.dropped) return;
  if (!status.ok()) return core::finish(exchange, status);
  status = core::parse_data_pointer(exchange.capsule, exchange.in_capsule, exchange.length_bytes,
                                    exchange.transfer == core::Transfer::HostToController, exchange.pointer);
  if (!status.ok()) return core::finish(exchange, status);
  if (holding_) return held_.push_back(&exchange);
  place_data(exchange);
}

void Wire::release() {
  holding_ = false;
  for (Exchange* exchange : std::exchange(held_, {})) place_data(*exchange);
}

void Wire::place_data(Exchange& exchange) {
  const bool to_controller = exchange.transfer == core::Transfer::HostToController;
  exchange.data = {};
  if (exchange.pointer.kind == core::DataPointer::Kind::InCapsule && exchange.scratch_bytes == 0) {
    exchange.data.address = exchange.in_capsule.data() + exchange.pointer.capsule_offset;
  } else {
    exchange.buffer.assign(core::buffer_bytes(exchange), std::byte{0xa5});
    const bool in_capsule = exchange.pointer.kind == core::DataPointer::Kind::InCapsule;
    const auto data =
        in_capsule ? exchange.in_capsule.begin() + exchange.pointer.capsule_offset : exchange.memory.begin();
    if (to_controller) std::copy_n(data, exchange.length_bytes, exchange.buffer.begin());
    exchange.data.address = exchange.buffer.data();
  }
  exchange.data.length_bytes = exchange.length_bytes;
  exchange.execute(exchange);
}

void Wire::respond(core::Request& request) {
  auto& exchange = static_cast<Exchange&>(request);
  ++exchange.answers;
  const bool success = exchange.cqe.status == 0;
  if (success && exchange.transfer == core::Transfer::ControllerToHost) {
    std::copy_n(exchange.buffer.begin(), exchange.length_bytes, exchange.memory.begin());
  }
  static_cast<Wire*>(exchange.queue->link)->report_aborts();
}

void Wire::abort(uint16_t cid, std::function<void(bool aborted)> done) {
  send({.wire = this, .cid = cid, .done = std::move(done)});
}

void Wire::quiesce(std::function<void()> done) {
  send({.wire = this, .quiesces = true, .done = [done = std::move(done)](bool) { done(); }});
}

void Wire::abort_all(uint32_t nsid, std::function<void()> done) {
  send({.wire = this, .nsid = nsid, .done = [done = std::move(done)](bool) { done(); }});
}

void Wire::send(Abort abort) {
  Abort& sent = aborts_.emplace_back(std::move(abort));
  sent.message.context = &sent;
  sent.message.deliver = [](core::Message& message) {
    auto& begun = *static_cast<Abort*>(message.context);
    begun.quiesces ? begun.wire->begin_quiesce(begun) : begun.wire->begin(begun);
  };
  if (queue.reactor == nullptr) return sent.message.deliver(sent.message);
  queue.reactor->send(sent.message);
}

void Wire::begin(Abort& abort) {
  for (const auto& exchange : exchanges_) {
    const bool meant = abort.nsid == 0 ? exchange->capsule.cid == abort.cid
                                       : exchange->ns != nullptr && exchange->ns->nsid == abort.nsid;
    if (exchange->is_over() || !meant) continue;
    abort.aborted |= abort_waiting(*exchange, abort.nsid == 0 ? core::kAbortRequested : core::kPreempted);
    if (abort.nsid != 0 && exchange->answers == 0) abort.unanswered.push_back(exchange.get());
  }
  in_progress_.push_back(&abort);
  report_aborts();
}

void Wire::begin_quiesce(Abort& abort) {
  quiesced_ = true;
  core::drop_lone_half(queue);
  for (Exchange* exchange : std::exchange(held_, {})) exchange->dropped = true;
  drop_held();
  for (const auto& exchange : exchanges_) {
    if (!exchange->is_over() && exchange->capsule.opcode != nvme_admin_fabrics)
      abort.unanswered.push_back(exchange.get());
  }
  in_progress_.push_back(&abort);
  report_aborts();
}

void Wire::drop_held() {
  for (const auto& exchange : exchanges_) {
    if (exchange->is_over()) continue;
    core::drop_held(*exchange, [](core::Request& held) { static_cast<Exchange&>(held).dropped = true; });
  }
}

bool Wire::abort_waiting(Exchange& exchange, core::Status status) {
  if (std::erase(held_, &exchange) == 0) return core::abort_executed(exchange, status);
  core::finish(exchange, status);
  return true;
}

void Wire::report_aborts() {
  for (Abort* abort : std::exchange(in_progress_, {})) {
    std::erase_if(abort->unanswered, [](const Exchange* exchange) { return exchange->is_over(); });
    if (!abort->unanswered.empty()) {
      in_progress_.push_back(abort);
      continue;
    }
    abort->message.deliver = [](core::Message& message) {
      auto& ended = *static_cast<Abort*>(message.context);
      std::exchange(ended.done, nullptr)(ended.aborted);
    };
    if (queue.control == nullptr) {
      abort->message.deliver(abort->message);
    } else {
      queue.control->send(abort->message);
    }
  }
}

Answer Wire::take(size_t number) const {
  const Exchange& exchange = *exchanges_[number];
  REQUIRE(exchange.answers == 1);
  const auto status = static_cast<uint16_t>(exchange.cqe.status >> 1);
  return {.status = status & 0x7ff,
          .do_not_retry = (status & NVME_SC_DNR) != 0,
          .more = (status & NVME_SC_MORE) != 0,
          .retry_delay = static_cast<unsigned>(status & NVME_SC_CRD) >> 11,
          .result = exchange.cqe.result,
          .cid = exchange.cqe.cid,
          .sqid = exchange.cqe.sqid,
          .sqhd = exchange.cqe.sqhd,
          .data = exchange.memory};
}

Answer Wire::send(const Sqe& sqe, Bytes memory, Bytes in_capsule) {
  return take(post(sqe, std::move(memory), std::move(in_capsule)));
}

void Wire::close() {
  if (!open_) return;
  open_ = false;
  core::drop_lone_half(queue);
  core::drop_parked(queue);
  for (Exchange* exchange : std::exchange(held_, {})) exchange->dropped = true;
  world_.target.queue_closed(queue);
  reserve_io_queues(0);
  for (const auto& exchange : exchanges_) CHECK(exchange->answers + exchange->dropped == 1);
}

uint32_t Wire::reserve_io_queues(uint32_t wanted) {
  world_.io_queue_room += reserved_io_queues_;
  reserved_io_queues_ = std::min(wanted, world_.io_queue_room);
  world_.io_queue_room -= reserved_io_queues_;
  return reserved_io_queues_;
}

void Wire::disconnect(const std::string& reason) { reason_ = reason; }

const core::IoNamespaceTable* Wire::io_namespaces(const core::Subsystem& subsystem) {
  return &subsystem == &world_.other_subsystem ? &world_.other_table : &world_.table;
}

Sqe command(uint8_t opcode, uint32_t nsid, uint32_t cdw10, uint32_t cdw11, uint32_t cdw12) {
  Sqe sqe{};
  sqe.opcode = opcode;
  sqe.flags = static_cast<uint8_t>(nvme::Psdt::SglMptrContiguous) << 6;
  sqe.nsid = nsid;
  sqe.cdw10 = cdw10;
  sqe.cdw11 = cdw11;
  sqe.cdw12 = cdw12;
  return sqe;
}

namespace {

template <typename Command>
Sqe fabrics(Command fields, uint8_t fctype) {
  fields.opcode = nvme_admin_fabrics;
  fields.fctype = fctype;
  Sqe sqe;
  std::memcpy(&sqe, &fields, sizeof(sqe));
  return sqe;
}

}  // namespace

Sqe property_get(uint32_t offset, uint8_t attrib) {
  nvme::PropertyCommand fields{};
  fields.offset = offset;
  fields.attrib = attrib;
  return fabrics(fields, nvme_fabrics_type_property_get);
}

Sqe property_set(uint32_t offset, uint64_t value, uint8_t attrib) {
  nvme::PropertyCommand fields{};
  fields.offset = offset;
  fields.value = value;
  fields.attrib = attrib;
  return fabrics(fields, nvme_fabrics_type_property_set);
}

Sqe connect_command(uint16_t qid, uint16_t sqsize_z, uint32_t kato_ms, uint8_t cattr, uint16_t recfmt) {
  nvme::ConnectCommand fields{};
  fields.recfmt = recfmt;
  fields.qid = qid;
  fields.sqsize_z = sqsize_z;
  fields.cattr = cattr;
  fields.kato_ms = kato_ms;
  return fabrics(fields, nvme_fabrics_type_connect);
}

Sqe disconnect_command(uint16_t recfmt) {
  nvme::DisconnectCommand fields{};
  fields.recfmt = recfmt;
  return fabrics(fields, nvme_fabrics_type_disconnect);
}

Sqe get_log_page(uint8_t lid, uint32_t bytes, uint64_t offset, bool retain, uint32_t nsid) {
  const uint32_t numd_z = bytes / 4 - 1;
  Sqe sqe = command(nvme_admin_get_log_page, nsid, lid | (retain ? 1u << 15 : 0) | numd_z << 16, numd_z >> 16);
  sqe.cdw12 = static_cast<uint32_t>(offset);
  sqe.cdw13 = static_cast<uint32_t>(offset >> 32);
  return sqe;
}

void set_nqn(char (&field)[256], const std::string& nqn) {
  std::memset(field, 0, sizeof(field));
  std::memcpy(field, nqn.data(), std::min(nqn.size(), sizeof(field)));
}

Host::Host(World& the_world, std::string host_nqn, uint16_t port_id)
    : world(the_world), nqn(std::move(host_nqn)), admin(the_world, 0, port_id) {
  for (uint16_t qid = 1; qid <= 8; ++qid) io_.push_back(std::make_unique<Wire>(world, qid, port_id));
}

nvmf_connect_data Host::connect_data(const std::string& subsystem_nqn, uint16_t controller_id) const {
  nvmf_connect_data data{};
  std::ranges::copy(hostid, data.hostid);
  data.cntlid = controller_id;
  set_nqn(data.subsysnqn, subsystem_nqn);
  set_nqn(data.hostnqn, nqn);
  return data;
}

Answer Host::connect(const std::string& subsystem_nqn, uint32_t kato_ms) {
  subnqn = subsystem_nqn;
  Answer answer = admin.send(connect_command(0, kAdminSqsize, kato_ms), to_bytes(connect_data(subnqn)));
  cntlid = static_cast<uint16_t>(answer.result);
  return answer;
}

Answer Host::connect_io(uint16_t qid) {
  return io(qid).send(connect_command(qid, kIoSqsize), to_bytes(connect_data(subnqn, cntlid)));
}

void Host::bring_up(uint16_t io_queues, const std::string& subsystem_nqn, uint32_t kato_ms) {
  REQUIRE(connect(subsystem_nqn, kato_ms).ok());
  REQUIRE(enable().ok());
  for (uint16_t qid = 1; qid <= io_queues; ++qid) REQUIRE(connect_io(qid).ok());
}

Answer Host::identify(uint8_t cns, uint32_t nsid, uint32_t cdw11, uint16_t cntid) {
  return admin.send(command(nvme_admin_identify, nsid, cns | uint32_t{cntid} << 16, cdw11), Bytes(4096));
}

Answer Host::log_page(uint8_t lid, uint32_t bytes, uint64_t offset, bool retain) {
  return admin.send(get_log_page(lid, bytes, offset, retain), Bytes(bytes));
}

Answer Host::get_feature(uint8_t fid, uint8_t sel, uint32_t cdw11) {
  return admin.send(command(nvme_admin_get_features, 0, fid | uint32_t{sel} << 8, cdw11), Bytes(16));
}

Answer Host::set_feature(uint8_t fid, uint32_t cdw11, uint32_t nsid, bool save) {
  return admin.send(command(nvme_admin_set_features, nsid, fid | (save ? 1u << 31 : 0), cdw11));
}

}  // namespace nvmf::test
