#include "tests/unit/backend/faulty_channel.h"

#include "tests/unit/backend/support.h"

using namespace nvmf::backend;
using namespace nvmf::backend::test;
using nvmf::core::Status;

namespace {

class GoodDisk final : public nvmf::core::IoChannel {
 public:
  void submit(nvmf::core::Io& io) override { io.done(io, nvmf::core::kSuccess); }
};

}  // namespace

TEST_CASE("A faulty channel fails and holds what it is told to, and passes on the rest") {
  GoodDisk disk;
  FaultyChannel channel(disk, [](const nvmf::core::Io&, uint64_t n) {
    FaultyChannel::Fault fault;
    if (n == 1) fault.status = nvmf::core::media_error(NVME_SC_READ_ERROR);
    fault.hold = n == 2;
    return fault;
  });
  TestIo ios[3];
  for (TestIo& io : ios) channel.submit(io);
  CHECK(ios[0].status.ok());
  CHECK(ios[1].status == nvmf::core::media_error(NVME_SC_READ_ERROR));
  CHECK(ios[2].times == 0);
  CHECK(channel.held() == 1);
  channel.release();
  CHECK(ios[2].status.ok());
}
