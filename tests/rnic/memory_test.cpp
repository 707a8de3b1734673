#include "tests/rnic/ends.h"

namespace nvmf::rnic {
namespace {

TEST_CASE("an RDMA WRITE beyond the region is refused, writes nothing, and ends both queue pairs") {
  Ends ends;
  fill(ends.target->memory, 0, 512, 1);
  REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {ends.target->piece(0, 512)}, 1, &*ends.host, 65536 - 256) == 0);
  ends.settle();
  const auto sent = ends.target->sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].status == IBV_WC_REM_ACCESS_ERR);
  CHECK(ends.host->memory[65536 - 256] == std::byte{0});
  CHECK(ends.target->model().now == IBV_QPS_ERR);
  CHECK(ends.host->model().now == IBV_QPS_ERR);
  CHECK(ends.host->told(IBV_EVENT_QP_ACCESS_ERR));
}

TEST_CASE("a region without the right to be read is not") {
  Ends ends;
  std::vector<std::byte> secret(4096);
  const auto region =
      verbs::register_memory(ends.host->domain.get(), secret.data(), secret.size(), IBV_ACCESS_LOCAL_WRITE);
  std::swap(ends.host->region->rkey, region->rkey);
  REQUIRE(ends.target->post(IBV_WR_RDMA_READ, {ends.target->piece(0, 64)}, 1, &*ends.host) == 0);
  std::swap(ends.host->region->rkey, region->rkey);
  ends.settle();
  REQUIRE(ends.target->sent().at(0).status == IBV_WC_REM_ACCESS_ERR);
}

TEST_CASE("a local region of another protection domain, or deregistered in use, fails the work request") {
  Ends ends;
  std::vector<std::byte> memory(4096);
  const ibv_sge piece = [&] {
    const auto region =
        verbs::register_memory(ends.target->domain.get(), memory.data(), memory.size(), IBV_ACCESS_LOCAL_WRITE);
    const ibv_sge of_region{reinterpret_cast<uintptr_t>(memory.data()), 64, region->lkey};
    REQUIRE(ends.target->post(IBV_WR_RDMA_WRITE, {of_region}, 1, &*ends.host) == 0);
    return of_region;
  }();
  ends.settle();
  CHECK(ends.target->sent().at(0).status == IBV_WC_LOC_PROT_ERR);
  CHECK(resolve(ends.target->model().domain, piece.lkey, piece.addr, 64, 0) == nullptr);
  CHECK(resolve(ends.host->model().domain, ends.target->region->lkey, ends.target->piece(0, 1).addr, 1, 0) == nullptr);
}

TEST_CASE("an iWARP device writes an RDMA READ's data only where the other side may write") {
  Ends ends(siw());
  std::vector<std::byte> memory(4096);
  const auto region =
      verbs::register_memory(ends.target->domain.get(), memory.data(), memory.size(), IBV_ACCESS_LOCAL_WRITE);
  REQUIRE(ends.target->post(IBV_WR_RDMA_READ, {{reinterpret_cast<uintptr_t>(memory.data()), 64, region->lkey}}, 1,
                            &*ends.host) == 0);
  ends.settle();
  CHECK(ends.target->sent().at(0).status == IBV_WC_LOC_PROT_ERR);
}

TEST_CASE("memory lent as a dma-buf is out of reach once its lender has revoked it") {
  Ends ends;
  std::vector<std::byte> lent(8192);
  DmaBuf dma_buf(ends.fabric, 1234, lent.data(), lent.size(), false);
  const verbs::MemoryRegion region(
      ibv_reg_dmabuf_mr(ends.target->domain.get(), 4096, 4096, 0x10000, 1234, IBV_ACCESS_LOCAL_WRITE));
  REQUIRE(region);
  const ibv_sge piece{0x10000, 64, region->lkey};
  fill(ends.host->memory, 0, 64, 3);
  REQUIRE(ends.target->post(IBV_WR_RDMA_READ, {piece}, 1, &*ends.host) == 0);
  ends.settle();
  CHECK(ends.target->sent().at(0).status == IBV_WC_SUCCESS);
  CHECK(std::memcmp(lent.data() + 4096, ends.host->memory.data(), 64) == 0);

  dma_buf.revoke();
  REQUIRE(ends.target->post(IBV_WR_RDMA_READ, {piece}, 2, &*ends.host) == 0);
  ends.settle();
  CHECK(ends.target->sent().at(0).status == IBV_WC_LOC_PROT_ERR);
}

TEST_CASE("a device that pins dma-bufs takes none whose lender cannot pin them") {
  Ends ends(bnxt_re());
  std::vector<std::byte> lent(4096);
  DmaBuf movable(ends.fabric, 10, lent.data(), lent.size(), false);
  CHECK(ibv_reg_dmabuf_mr(ends.target->domain.get(), 0, 4096, 0, 10, IBV_ACCESS_LOCAL_WRITE) == nullptr);
  CHECK(errno == EOPNOTSUPP);
  DmaBuf pinnable(ends.fabric, 11, lent.data(), lent.size(), true);
  const verbs::MemoryRegion region(
      ibv_reg_dmabuf_mr(ends.target->domain.get(), 0, 4096, 0, 11, IBV_ACCESS_LOCAL_WRITE));
  CHECK(region);
}

TEST_CASE("on-demand regions are for devices that have paging") {
  for (const Profile& profile : all_profiles()) {
    CAPTURE(profile.name);
    Ends ends(profile);
    std::vector<std::byte> memory(4096);
    const verbs::MemoryRegion region(ibv_reg_mr(ends.target->domain.get(), memory.data(), memory.size(),
                                                IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND));
    CHECK((region != nullptr) == profile.on_demand_paging);
    CHECK(verbs::supports_on_demand_paging(ends.target->context) == profile.on_demand_paging);
    if (region) CHECK(verbs::prefetch(region.get()));
  }
}

TEST_CASE("a protection domain in use cannot go, and whoever tries is told") {
  Fabric fabric(1);
  Device& device = fabric.add_device("rnic0", "192.0.2.1", connectx());
  ibv_context* const context = ibv_open_device(&device);
  ibv_pd* const domain = ibv_alloc_pd(context);
  std::byte memory[64];
  ibv_mr* const region = ibv_reg_mr(domain, memory, sizeof memory, 0);
  CHECK(ibv_dealloc_pd(domain) == EBUSY);
  CHECK(fabric.faults().size() == 1);
  ibv_dereg_mr(region);
  CHECK(ibv_dealloc_pd(domain) == 0);
  CHECK(device.objects() == 0);
  ibv_close_device(context);
}

}  // namespace
}  // namespace nvmf::rnic
