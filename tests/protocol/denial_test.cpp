// What a host may not do with a namespace: the status for each reason, and which commands it stops.
#include <doctest/doctest.h>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using core::Denials;

Sqe read_of(uint32_t nsid) { return command(nvme_cmd_read, nsid); }
Sqe write_of(uint32_t nsid) { return command(nvme_cmd_write, nsid); }
Sqe flush_of(uint32_t nsid) { return command(nvme_cmd_flush, nsid); }
constexpr int path(int sc) { return code(core::path_error(sc)); }

}  // namespace

TEST_CASE("host reads, writes and flushes a namespace that it is kept from: target names the reason") {
  const struct {
    Denials denials;
    int read;
    int write;
    int flush;
  } rows[] = {
      {core::kHidden, NVME_SC_INVALID_NS, NVME_SC_INVALID_NS, NVME_SC_INVALID_NS},
      {core::kAnaInaccessible, path(NVME_SC_ANA_INACCESSIBLE), path(NVME_SC_ANA_INACCESSIBLE),
       path(NVME_SC_ANA_INACCESSIBLE)},
      {core::kAnaPersistentLoss, path(NVME_SC_ANA_PERSISTENT_LOSS), path(NVME_SC_ANA_PERSISTENT_LOSS),
       path(NVME_SC_ANA_PERSISTENT_LOSS)},
      {core::kAnaTransition, path(NVME_SC_ANA_TRANSITION), path(NVME_SC_ANA_TRANSITION), path(NVME_SC_ANA_TRANSITION)},
      {core::kWriteProtected, NVME_SC_SUCCESS, NVME_SC_NS_WRITE_PROTECTED, NVME_SC_SUCCESS},
      {core::kReservedFromWrites, NVME_SC_SUCCESS, NVME_SC_RESERVATION_CONFLICT, NVME_SC_RESERVATION_CONFLICT},
      {core::kReservedFromReads | core::kReservedFromWrites, NVME_SC_RESERVATION_CONFLICT, NVME_SC_RESERVATION_CONFLICT,
       NVME_SC_RESERVATION_CONFLICT},
  };
  World world;
  Host host(world);
  host.bring_up(1);
  for (const auto& row : rows) {
    CAPTURE(int{row.denials});
    host.controller().deny(1, row.denials);
    CHECK(host.io(1).send(read_of(1), Bytes(512)).status == row.read);
    CHECK(host.io(1).send(write_of(1), Bytes(512)).status == row.write);
    CHECK(host.io(1).send(flush_of(1)).status == row.flush);
    CHECK(host.io(1).send(read_of(3), Bytes(4096)).ok());
    host.controller().permit(1, row.denials);
    CHECK(host.io(1).send(write_of(1), Bytes(512)).ok());
  }
}

TEST_CASE("host connects an I/O queue after it was kept from a namespace: the new queue knows") {
  World world;
  Host host(world);
  host.bring_up(1);
  host.controller().deny(1, core::kReservedFromWrites);
  REQUIRE(host.connect_io(2).ok());
  CHECK(host.io(2).send(write_of(1), Bytes(512)).status == NVME_SC_RESERVATION_CONFLICT);
}

TEST_CASE("host flushes all namespaces: those that it is kept from are left out") {
  World world;
  Host host(world);
  host.bring_up(1);
  host.controller().deny(1, core::kAnaInaccessible);
  CHECK(host.io(1).send(flush_of(NVME_NSID_ALL)).ok());
  CHECK(world.disk_1.seen.empty());
  CHECK(world.disk_3.seen.size() == 1);
}

}  // namespace nvmf::test
