// Namespace Write Protection: NVMe Base 2.0, sections 5.27.1.28 and 8.12.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/protocol/host.h"

namespace nvmf::test {
namespace {

using core::WriteProtection;

constexpr uint8_t kFid = NVME_FEAT_FID_WRITE_PROTECT;
constexpr uint32_t kNone = NVME_FEAT_NS_NO_WRITE_PROTECT;
constexpr uint32_t kProtected = NVME_FEAT_NS_WRITE_PROTECT;
constexpr uint32_t kUntilPowerCycle = NVME_FEAT_NS_WRITE_PROTECT_PWR_CYCLE;
constexpr uint32_t kPermanent = NVME_FEAT_NS_WRITE_PROTECT_PERMANENT;

class Store : public core::WriteProtectionStore {
 public:
  WriteProtection load(const std::string&, const core::NamespaceOptions& ns) override {
    if (broken) throw std::runtime_error("the file is broken");
    return saved[ns.nsid];
  }
  void save(const std::string&, const core::NamespaceOptions& ns, WriteProtection state,
            std::function<void(bool)> done) override {
    ++saves;
    writes_.push_back([this, nsid = ns.nsid, state, done = std::move(done)] {
      if (!full) saved[nsid] = state;
      done(!full);
    });
    if (!slow) write_all();
  }
  // What has been asked for until now; for a store that is slow.
  void write_all() {
    for (const auto& write : std::exchange(writes_, {})) write();
  }
  std::map<uint32_t, WriteProtection> saved;
  int saves = 0;
  bool full = false;
  bool slow = false;
  bool broken = false;

 private:
  std::vector<std::function<void()>> writes_;
};

struct Protectors {
  World world;
  Store store;
  Host a{world};
  Host b{world};

  Protectors() {
    world.target.write_protection_store = &store;
    world.subsystem.set_permanent_write_protection(true);
    for (Host* host : {&a, &b}) {
      host->bring_up(1);
      host->set_feature(NVME_FEAT_FID_ASYNC_EVENT, NVME_FEATURE_AENCFG_NOTICE_NAMESPACE_ATTRIBUTES);
    }
  }
  Answer set(uint32_t state, uint32_t nsid = 1) { return a.set_feature(kFid, state, nsid); }
  Answer get(uint32_t nsid = 1, uint8_t sel = 0) {
    return b.admin.send(command(nvme_admin_get_features, nsid, kFid | uint32_t{sel} << 8));
  }
  static int write(Host& host) { return host.io(1).send(command(nvme_cmd_write, 1), Bytes(512)).status; }
  // The effect of a power cycle on the namespace.
  void plug_anew() {
    const core::NamespaceOptions options = *world.subsystem.find_namespace(1);
    world.subsystem.remove_namespace(1);
    world.subsystem.add_namespace(options);
  }
};

TEST_CASE("the disk under the state directory is slow: the answer waits for it, other commands do not") {
  Protectors hosts;
  hosts.store.slow = true;
  const Sqe set = command(nvme_admin_set_features, 1, kFid, kProtected);
  const size_t number = hosts.a.admin.post(set);
  CHECK(hosts.store.saves == 1);
  CHECK_FALSE(hosts.a.admin.answered(number));
  CHECK(hosts.a.admin.send(command(nvme_admin_keep_alive)).ok());
  CHECK(hosts.get().result == kNone);
  CHECK(Protectors::write(hosts.b) == 0);
  SUBCASE("saved") {
    hosts.store.write_all();
    CHECK(hosts.a.admin.take(number).ok());
    CHECK(hosts.get().result == kProtected);
    CHECK(Protectors::write(hosts.b) == NVME_SC_NS_WRITE_PROTECTED);
  }
  SUBCASE("not saved: nobody knows what a restart will find, so that the next state is saved in any case") {
    hosts.store.full = true;
    hosts.store.write_all();
    CHECK(hosts.a.admin.take(number).status == NVME_SC_INTERNAL);
    CHECK(Protectors::write(hosts.b) == 0);
    hosts.store.full = hosts.store.slow = false;
    CHECK(hosts.set(kNone).ok());
    CHECK(hosts.store.saves == 2);
    CHECK(hosts.set(kNone).ok());
    CHECK(hosts.store.saves == 2);
  }
  SUBCASE("the namespace goes meanwhile") {
    hosts.world.subsystem.remove_namespace(1);
    hosts.store.write_all();
    CHECK(hosts.a.admin.take(number).ok());
    CHECK(hosts.store.saved[1] == WriteProtection::Protected);
  }
}

TEST_CASE("the operator ends a host's protection: hosts may write again, and are told; not the other states") {
  Protectors hosts;
  core::Status status = NVME_SC_INTERNAL;
  const auto clear = [&] {
    hosts.world.subsystem.write_protection().clear(1, [&](core::Status ended) { status = ended; });
  };
  SUBCASE("Write Protect") {
    REQUIRE(hosts.set(kProtected).ok());
    hosts.b.log_page(NVME_LOG_LID_CHANGED_NS, 4096);
    const size_t event = hosts.b.await_event();
    clear();
    CHECK(status.ok());
    CHECK(hosts.get().result == kNone);
    CHECK(Protectors::write(hosts.b) == 0);
    CHECK(hosts.store.saved[1] == WriteProtection::None);
    CHECK(hosts.b.admin.answered(event));
  }
  SUBCASE("until power cycle, for ever") {
    for (const uint32_t state : {kUntilPowerCycle, kPermanent}) {
      CAPTURE(state);
      hosts.plug_anew();
      REQUIRE(hosts.set(state).ok());
      clear();
      CHECK_FALSE(status.ok());
      CHECK(Protectors::write(hosts.b) == NVME_SC_NS_WRITE_PROTECTED);
    }
  }
}

TEST_CASE("host protects a namespace: nobody writes to it any more, all may read, and Identify tells") {
  Protectors hosts;
  CHECK(hosts.get().result == kNone);
  REQUIRE(hosts.set(kProtected).ok());
  CHECK(hosts.get().result == kProtected);
  for (Host* host : {&hosts.a, &hosts.b}) {
    for (const uint8_t opcode : {nvme_cmd_write, nvme_cmd_write_zeroes}) {
      const Answer answer = host->io(1).send(command(opcode, 1), Bytes(512));
      CHECK(answer.status == NVME_SC_NS_WRITE_PROTECTED);
      CHECK(answer.do_not_retry);
    }
    CHECK(host->io(1).send(command(nvme_cmd_read, 1), Bytes(512)).ok());
    CHECK(host->io(1).send(command(nvme_cmd_flush, 1)).ok());
    CHECK(host->io(1).send(command(nvme_cmd_write, 3), Bytes(4096)).ok());
    CHECK(host->identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>().nsattr == 1);
    CHECK(host->identify(NVME_IDENTIFY_CNS_NS, 3).as<nvme_id_ns>().nsattr == 0);
  }
  CHECK(hosts.a.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().nwpc == 7);
  REQUIRE(hosts.set(kNone).ok());
  CHECK(Protectors::write(hosts.b) == 0);
  CHECK(hosts.a.identify(NVME_IDENTIFY_CNS_NS, 1).as<nvme_id_ns>().nsattr == 0);
}

TEST_CASE("host protects a namespace: every host that wants to hears that its attributes have changed") {
  Protectors hosts;
  const size_t awaited[] = {hosts.a.await_event(), hosts.b.await_event()};
  REQUIRE(hosts.set(kProtected).ok());
  REQUIRE(hosts.a.admin.answered(awaited[0]));
  REQUIRE(hosts.b.admin.answered(awaited[1]));
  CHECK(hosts.b.log_page(NVME_LOG_LID_CHANGED_NS, 4096).as<nvme_ns_list>().ns[0] == 1);
  const size_t again = hosts.b.await_event();
  REQUIRE(hosts.set(kProtected).ok());
  CHECK_FALSE(hosts.b.admin.answered(again));
}

TEST_CASE("a host that comes later finds the namespace protected") {
  Protectors hosts;
  REQUIRE(hosts.set(kProtected).ok());
  Host late(hosts.world);
  late.bring_up(1);
  CHECK(Protectors::write(late) == NVME_SC_NS_WRITE_PROTECTED);
}

TEST_CASE("a power cycle: Write Protect and Permanent Write Protect stay, Write Protect Until Power Cycle does not") {
  const struct {
    uint32_t state;
    uint32_t after;
  } rows[] = {{kNone, kNone}, {kProtected, kProtected}, {kUntilPowerCycle, kNone}, {kPermanent, kPermanent}};
  for (const auto& row : rows) {
    CAPTURE(row.state);
    Protectors hosts;
    REQUIRE(hosts.set(row.state).ok());
    CHECK(hosts.get().result == row.state);
    hosts.plug_anew();
    CHECK(hosts.get().result == row.after);
    CHECK(Protectors::write(hosts.b) == (row.after == kNone ? 0 : NVME_SC_NS_WRITE_PROTECTED));
  }
}

TEST_CASE("a protected namespace is protected until the power cycle only: afterwards it is not protected at all") {
  Protectors hosts;
  REQUIRE(hosts.set(kProtected).ok());
  REQUIRE(hosts.set(kUntilPowerCycle).ok());
  hosts.plug_anew();
  CHECK(hosts.get().result == kNone);
}

TEST_CASE("host changes a state that it cannot leave: Feature Not Changeable") {
  for (const uint32_t state : {kUntilPowerCycle, kPermanent}) {
    Protectors hosts;
    REQUIRE(hosts.set(state).ok());
    for (const uint32_t wanted : {kNone, kProtected, kUntilPowerCycle, kPermanent}) {
      const Answer answer = hosts.set(wanted);
      CHECK(answer.status == (wanted == state ? 0 : specific(NVME_SC_FEATURE_NOT_CHANGEABLE)));
    }
    CHECK(hosts.get().result == state);
    hosts.a.enable(0);
    hosts.a.enable();
    CHECK(hosts.get().result == state);
  }
}

TEST_CASE("the operator's read-only namespace: hosts are told that it is protected, and cannot change that") {
  Protectors hosts;
  core::NamespaceOptions options = *hosts.world.subsystem.find_namespace(1);
  options.write_protected = true;
  hosts.world.subsystem.change_namespace(options);
  CHECK(hosts.get().result == kProtected);
  CHECK(hosts.set(kProtected).ok());
  CHECK(hosts.set(kNone).status == specific(NVME_SC_FEATURE_NOT_CHANGEABLE));
  CHECK(hosts.set(kPermanent).status == specific(NVME_SC_FEATURE_NOT_CHANGEABLE));
  options.write_protected = false;
  hosts.world.subsystem.change_namespace(options);
  CHECK(hosts.get().result == kNone);
  CHECK(Protectors::write(hosts.a) == 0);
}

TEST_CASE("the operator makes a namespace read-only and writable again: what a host had protected still is") {
  Protectors hosts;
  REQUIRE(hosts.set(kProtected).ok());
  core::NamespaceOptions options = *hosts.world.subsystem.find_namespace(1);
  for (const bool read_only : {true, false}) {
    options.write_protected = read_only;
    hosts.world.subsystem.change_namespace(options);
    CHECK(Protectors::write(hosts.b) == NVME_SC_NS_WRITE_PROTECTED);
  }
}

TEST_CASE("a namespace becomes protected: it is flushed before the host is answered") {
  Protectors hosts;
  std::function<void(Status)> flushed;
  uint32_t flushed_nsid = 0;
  hosts.world.target.flush_namespace = [&](const core::Subsystem&, uint32_t nsid, std::function<void(Status)> done) {
    flushed_nsid = nsid;
    flushed = std::move(done);
  };
  const size_t number = hosts.a.admin.post(command(nvme_admin_set_features, 1, kFid, kProtected));
  CHECK(Protectors::write(hosts.b) == NVME_SC_NS_WRITE_PROTECTED);
  CHECK_FALSE(hosts.a.admin.answered(number));
  CHECK(flushed_nsid == 1);
  SUBCASE("and that succeeds") {
    flushed(core::kSuccess);
    CHECK(hosts.a.admin.take(number).ok());
  }
  SUBCASE("and that fails: the host is told, and the namespace stays protected") {
    flushed(core::media_error(NVME_SC_WRITE_FAULT));
    CHECK(hosts.a.admin.take(number).status == code(core::media_error(NVME_SC_WRITE_FAULT)));
    CHECK(hosts.get().result == kProtected);
  }
  flushed = nullptr;
  CHECK(hosts.set(kNone).ok());
  CHECK_FALSE(flushed);
}

TEST_CASE("the state cannot be saved: Internal Error, and nothing has changed") {
  Protectors hosts;
  hosts.store.full = true;
  for (const uint32_t state : {kProtected, kPermanent}) CHECK(hosts.set(state).status == NVME_SC_INTERNAL);
  CHECK(hosts.get().result == kNone);
  CHECK(Protectors::write(hosts.b) == 0);
  CHECK(hosts.set(kUntilPowerCycle).status == NVME_SC_INTERNAL);  // nobody knows what is saved
  hosts.store.full = false;
  CHECK(hosts.set(kUntilPowerCycle).ok());
  CHECK(hosts.store.saves == 4);
  CHECK(hosts.store.saved[1] == WriteProtection::None);
}

TEST_CASE("what was saved cannot be read: the namespace is not added") {
  Protectors hosts;
  hosts.store.broken = true;
  CHECK_THROWS_AS(hosts.plug_anew(), std::runtime_error);
  CHECK(hosts.world.subsystem.find_namespace(1) == nullptr);
}

TEST_CASE("the operator does not allow it: no host protects a namespace for ever, and Identify tells") {
  Protectors hosts;
  hosts.world.subsystem.set_permanent_write_protection(false);
  CHECK(hosts.set(kPermanent).status == NVME_SC_INVALID_FIELD);
  CHECK(hosts.a.controller().errors().entry(0).parm_error_location == 44);
  CHECK(hosts.get().result == kNone);
  for (const uint32_t state : {kProtected, kUntilPowerCycle}) CHECK(hosts.set(state).ok());
  const auto nwpc = [](Host& host) { return int{host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().nwpc}; };
  CHECK(nwpc(hosts.a) == 7);  // what it has read once
  Host late(hosts.world);
  late.bring_up();
  CHECK(nwpc(late) == 3);
}

TEST_CASE("host sets a state that there is not, or of no namespace, or of all: refused") {
  Protectors hosts;
  for (const uint32_t cdw11 : {4u, 7u, 8u, 1u << 31}) {
    CHECK(hosts.set(cdw11).status == NVME_SC_INVALID_FIELD);
    CHECK(hosts.a.controller().errors().entry(0).parm_error_location == 44);
  }
  for (const uint32_t nsid : {0u, 2u, uint32_t{NVME_NSID_ALL}}) {
    CHECK(hosts.set(kProtected, nsid).status == NVME_SC_INVALID_NS);
    CHECK(hosts.get(nsid).status == NVME_SC_INVALID_NS);
  }
  CHECK(hosts.get(1, NVME_GET_FEATURES_SEL_DEFAULT).result == kNone);
  CHECK(hosts.get(0, NVME_GET_FEATURES_SEL_SUPPORTED).result == (1 << 1 | 1 << 2));
  CHECK(hosts.a.set_feature(kFid, kProtected, 1, true).status == specific(NVME_SC_FEATURE_NOT_SAVEABLE));
}

TEST_CASE("there is no place for states: no host can protect a namespace, and Identify tells") {
  World world;
  Host host(world);
  host.bring_up();
  CHECK(host.set_feature(kFid, kProtected, 1).status == NVME_SC_INVALID_FIELD);
  CHECK(host.identify(NVME_IDENTIFY_CNS_CTRL).as<nvme_id_ctrl>().nwpc == 0);
  const auto effects = host.log_page(NVME_LOG_LID_FID_SUPPORTED_EFFECTS, 1024).as<nvme_fid_supported_effects_log>();
  CHECK(effects.fid_support[kFid] == 0);
}

}  // namespace
}  // namespace nvmf::test
