// What an operator configures: targets, ports, subsystems, namespaces; and what the system's errors become.
#include <doctest/doctest.h>

#include <cerrno>
#include <stdexcept>

#include "target/core/datapath/status_text.h"
#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

TEST_CASE("a target's options are checked") {
  core::TargetOptions options = World::default_options();
  SUBCASE("a transfer size that is no power of two") { options.max_transfer_bytes = 100000; }
  SUBCASE("a transfer size of one page, which MDTS cannot say") { options.max_transfer_bytes = 4096; }
  SUBCASE("a transfer size beyond the limit") { options.max_transfer_bytes = 4u << 20; }
  SUBCASE("a queue of one entry") { options.max_queue_depth = 1; }
  SUBCASE("a queue beyond the limit") { options.max_queue_depth = 1025; }
  SUBCASE("no I/O queue") { options.max_io_queues = 0; }
  SUBCASE("more in the capsule than there is room for") { options.in_capsule_bytes = 32768; }
  SUBCASE("in-capsule data in no whole number of units") { options.in_capsule_bytes = 100; }
  CHECK_THROWS_AS(core::Target{options}, std::invalid_argument);
}

TEST_CASE("a subsystem's options are checked") {
  World world;
  core::SubsystemOptions options;
  options.nqn = "nqn.2024-01.org.example:third";
  SUBCASE("no name") { options.nqn = ""; }
  SUBCASE("an NQN of 224 characters") { options.nqn = "nqn." + std::string(220, 'x'); }
  SUBCASE("an NQN that is taken") { options.nqn = World::kNqn; }
  SUBCASE("discovery's NQN") { options.nqn = nvme::kDiscoveryNqn; }
  SUBCASE("a serial number of 21 characters") { options.serial = std::string(21, '1'); }
  SUBCASE("a model with control characters") { options.model = "a\tb"; }
  SUBCASE("a port that is not there") { options.ports = {9}; }
  SUBCASE("no controllers") { options.max_controllers = 0; }
  SUBCASE("reserved controller identifiers") { options.max_controllers = 0xfff0; }
  CHECK_THROWS_AS(world.target.add_subsystem(options), std::invalid_argument);
}

TEST_CASE("ports have numbers of their own, and addresses") {
  World world;
  CHECK_THROWS_AS(world.target.add_port({.id = 1, .address = "192.0.2.9", .service = 1}), std::invalid_argument);
  CHECK_THROWS_AS(world.target.add_port({.id = 9, .address = "", .service = 1}), std::invalid_argument);
}

TEST_CASE("a namespace's options are checked") {
  World world;
  core::NamespaceOptions options{.nsid = 2, .lba_shift = 9, .block_count = 8};
  SUBCASE("no NSID") { options.nsid = 0; }
  SUBCASE("an NSID beyond the limit") { options.nsid = 1025; }
  SUBCASE("an NSID that is taken") { options.nsid = 3; }
  SUBCASE("odd blocks") { options.lba_shift = 10; }
  SUBCASE("no blocks") { options.block_count = 0; }
  SUBCASE("more bytes than there are numbers") { options.block_count = ~uint64_t{0}; }
  SUBCASE("a UUID that is taken") { options.uuid = world.subsystem.find_namespace(1)->uuid; }
  SUBCASE("an NGUID that is taken") { options.nguid = world.subsystem.find_namespace(1)->nguid; }
  SUBCASE("an EUI-64 that is taken") { options.eui64 = world.subsystem.find_namespace(1)->eui64; }
  CHECK_THROWS_AS(world.subsystem.add_namespace(options), std::invalid_argument);
  CHECK(world.subsystem.namespaces().size() == 2);
}

TEST_CASE("namespaces are kept by NSID") {
  World world;
  world.subsystem.add_namespace({.nsid = 2, .lba_shift = 9, .block_count = 8});
  CHECK(world.subsystem.namespaces()[1].nsid == 2);
  CHECK(world.subsystem.find_namespace(2)->block_count == 8);
  CHECK(world.subsystem.find_namespace(4) == nullptr);
}

TEST_CASE("errors of the system become statuses; those that may pass are not marked Do Not Retry") {
  using core::status_from_errno;
  CHECK(status_from_errno(0).ok());
  for (const int error : {EIO, ETIMEDOUT, 12345}) CHECK(status_from_errno(error) == Status(NVME_SC_INTERNAL));
  for (const int error : {ENOSPC, EDQUOT, EFBIG})
    CHECK(status_from_errno(error) == Status(NVME_SC_CAP_EXCEEDED).do_not_retry());
  CHECK(status_from_errno(EOPNOTSUPP) == Status(NVME_SC_INVALID_OPCODE).do_not_retry());
  CHECK(status_from_errno(EROFS) == Status(NVME_SC_NS_WRITE_PROTECTED).do_not_retry());
  CHECK(status_from_errno(EBADE) == Status(NVME_SC_RESERVATION_CONFLICT).do_not_retry());
  CHECK(status_from_errno(EREMOTEIO) == Status(NVME_SC_INTERNAL).do_not_retry());
  for (const int error : {EAGAIN, EBUSY, EINTR, ENOMEM})
    CHECK(status_from_errno(error) == Status(NVME_SC_CMD_INTERRUPTED));
  for (const int error : {ENODEV, ENXIO}) CHECK(status_from_errno(error) == Status(NVME_SC_NS_NOT_READY));
  CHECK(status_from_errno(ENODATA) == core::media_error(NVME_SC_READ_ERROR));
  CHECK(status_from_errno(EILSEQ) == core::media_error(NVME_SC_GUARD_CHECK));
}

TEST_CASE("a status in a message: type and code as the specification prints them, without Do Not Retry") {
  CHECK(to_string(Status(NVME_SC_INVALID_NS).do_not_retry()) == "NVMe status 00bh");
  CHECK(to_string(core::media_error(NVME_SC_READ_ERROR)) == "NVMe status 281h");
}

}  // namespace
}  // namespace nvmf::test
