// The first half of a change finds everything that can fail, before anything has changed; and waits for no device
// longer than its patience.
#include "target/daemon/staging.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "config/parse.h"
#include "target/daemon/reservation_files.h"
#include "target/daemon/write_protection_files.h"
#include "tests/unit/scratch.h"
#include "transport/rdma/transport.h"

namespace nvmf::daemon {
namespace {

using std::chrono::milliseconds;

constexpr char kNqn[] = "nqn.2026-01.io.example:a";

// Whose storage is its path, as that of files is.
class Disk : public backend::Device {
 public:
  explicit Disk(const backend::DeviceSpec& spec) {
    info_.block_count = 8;
    info_.storage = spec.path;
  }
  std::unique_ptr<core::IoChannel> open_channel(backend::UringEngine&) override { return nullptr; }
};

std::string config_with(const std::string& namespaces, const std::string& nqn = kNqn) {
  return R"({"ports": [{"id": 1, "address": "192.0.2.1"}], "subsystems": [{"nqn": ")" + nqn +
         R"(", "allow_any_host": true, "namespaces": [)" + namespaces + "]}]}";
}

// All that staging needs, without RNICs and reactors.
struct Stage {
  using Open = std::function<std::unique_ptr<backend::Device>(const backend::DeviceSpec&)>;

  explicit Stage(
      Open open = [](const auto& spec) { return std::make_unique<Disk>(spec); },
      milliseconds patience = std::chrono::hours(1))
      : opener(io, {.open = std::move(open), .patience = patience}) {
    target.reservation_store = &reservations;
    target.write_protection_store = &write_protection;
  }

  // Of a reload from nothing to `text`. Empty `reasons`: it would be made.
  std::optional<StagedNamespaces> stage(const std::string& text) {
    config::Result parsed = config::parse(text, "a.json");
    REQUIRE(parsed.config.has_value());
    wanted = std::move(*parsed.config);
    const config::Config nothing;
    const config::Difference difference = config::diff(nothing, wanted);
    std::optional<StagedNamespaces> staged;
    std::exception_ptr failure;
    reasons.clear();
    const auto task = [&]() -> boost::asio::awaitable<void> {
      staged = co_await staging.stage(wanted, difference, reasons);
    };
    boost::asio::co_spawn(io, task(), [&](std::exception_ptr thrown) { failure = std::move(thrown); });
    io.restart();
    io.run();
    if (failure) std::rethrow_exception(failure);
    return staged;
  }

  bool accept(uint32_t nsid) {
    bool accepted = false;
    const auto task = [&]() -> boost::asio::awaitable<void> { accepted = co_await storage.accept(kNqn, nsid); };
    boost::asio::co_spawn(io, task(), boost::asio::detached);
    io.restart();
    io.run();
    return accepted;
  }

  void keep_again() {
    boost::asio::co_spawn(io, storage.keep_again(), boost::asio::detached);
    io.restart();
    io.run();
  }

  Scratch directory;
  boost::asio::io_context io;
  Events events{io};
  core::Mailbox control;
  core::Target target{core::TargetOptions{}};
  ReservationFiles reservations{StateDirectory(directory.path())};
  WriteProtectionFiles write_protection{StateDirectory(directory.path())};
  IdentifierFiles identifiers{StateDirectory(directory.path())};
  ServedStorageFiles served_storages{StateDirectory(directory.path())};
  rdma::Transport transport{io, target, control, {}, rdma::PollGroupOptions{}};
  PeerMemories peer_memories{transport.rnics(), 1U << 20U};
  DeviceOpener opener;
  Storage storage{io, target, control, {}, transport, peer_memories, opener, identifiers, served_storages, events};
  Changes changes{io, [] {}};
  Staging staging{io, target, storage, opener, changes, events};
  config::Config wanted;
  std::vector<std::string> reasons;
};

TEST_CASE("a namespace that the core would refuse fails in the first half of the change") {
  Stage test([](const auto& spec) {
    auto disk = std::make_unique<Disk>(spec);
    const_cast<backend::DeviceInfo&>(disk->info()).nguid = {1};  // NOLINT: every disk says that it is the same one
    return disk;
  });
  CHECK_FALSE(test.stage(config_with(R"({"block": "/dev/null"}, {"block": "/dev/zero"})")).has_value());
  CHECK(test.reasons == std::vector<std::string>{"a.json:1:172: namespace 2 of " + std::string(kNqn) +
                                                 ": another namespace has the same NGUID"});
}

TEST_CASE("a saved reservation that is broken fails in the first half of the change") {
  Stage test;
  const core::NamespaceOptions ns{.nsid = 1, .storage = "/dev/null"};
  std::ofstream(test.reservations.path_of(kNqn, ns)) << "no JSON";
  std::ofstream(StateDirectory(test.directory.path()).file("reservation", owner_of(kNqn, ns))) << "no JSON";
  CHECK_FALSE(test.stage(config_with(R"({"block": "/dev/null"})")).has_value());
  REQUIRE(test.reasons.size() == 1);
  CHECK(test.reasons.front().find("the file with its reservation") != std::string::npos);
}

TEST_CASE("a saved write protection that is broken fails in the first half of the change") {
  Stage test;
  const core::NamespaceOptions ns{.nsid = 1, .storage = "/dev/null"};
  std::ofstream(test.write_protection.path_of(kNqn, ns)) << "no JSON";
  CHECK_FALSE(test.stage(config_with(R"({"block": "/dev/null"})")).has_value());
  REQUIRE(test.reasons.size() == 1);
  CHECK(test.reasons.front().find("the file with its write protection") != std::string::npos);
}

TEST_CASE("what the config's check accepts, the core accepts") {
  Stage test;
  const auto staged = test.stage(config_with(R"({"block": "/dev/null"})", "nqn.2026-01.io.example:größe-№1"));
  REQUIRE(staged.has_value());
  CHECK(staged->added.size() == 1);
}

TEST_CASE("a device is gone when its node is, and when a link to it leads to another") {
  const Scratch directory;
  const std::filesystem::path link = std::filesystem::path(directory.path()) / "by-id";
  const auto lead_to = [&](const char* node) {
    std::filesystem::remove(link);
    std::filesystem::create_symlink(node, link);
  };
  lead_to("/dev/null");
  Stage test([](const auto& spec) {
    auto disk = std::make_unique<Disk>(spec);
    struct stat status {};
    REQUIRE(stat(spec.path.c_str(), &status) == 0);
    auto& info = const_cast<backend::DeviceInfo&>(disk->info());  // NOLINT: as opening the device sets them
    info.path = spec.path;
    info.node = status.st_rdev;
    return disk;
  });
  const auto staged = test.stage(config_with(R"({"block": ")" + link.string() + R"("})"));
  REQUIRE(staged.has_value());
  REQUIRE(staged->added.size() == 1);
  const ServedNamespace& served = *staged->added.front().space;
  CHECK_FALSE(is_gone(served));
  lead_to("/dev/zero");
  CHECK(is_gone(served));
  lead_to("/dev/no-such-device");
  CHECK(is_gone(served));
  lead_to("/dev/null");
  CHECK_FALSE(is_gone(served));
}

TEST_CASE("a new device that is not there yet does not fail the change: it is missing until it appears") {
  Stage test;
  const auto staged = test.stage(config_with(R"({"block": "/dev/null"}, {"block": "/dev/no-such-device"})"));
  REQUIRE(staged.has_value());
  CHECK(staged->added.size() == 1);
  CHECK(test.staging.missing() ==
        MissingNamespaces{{{kNqn, 2}, "/dev/no-such-device does not exist; the namespace is served when it appears"}});
}

TEST_CASE("other storage under an identifier of the config is refused until the operator accepts it") {
  const std::string config = config_with(R"({"block": "/dev/null", "uuid": "3c1e2f4a-0000-4000-8000-000000000001"})");
  std::string serial = "first";
  Stage test([&serial](const auto& spec) {
    auto disk = std::make_unique<Disk>(spec);
    const_cast<backend::DeviceInfo&>(disk->info()).storage = "disk " + serial;  // NOLINT
    return disk;
  });
  CHECK(test.stage(config).has_value());
  CHECK(test.stage(config).has_value());

  serial = "second";
  CHECK_FALSE(test.stage(config).has_value());
  REQUIRE(test.reasons.size() == 1);
  CHECK(test.reasons.front().find("served from disk first before, and its device is disk second now") !=
        std::string::npos);
  CHECK(test.reasons.front().ends_with("nvmf-p2p accept " + std::string(kNqn) + " 1"));

  CHECK_FALSE(test.accept(2));
  CHECK(test.accept(1));
  CHECK(test.stage(config).has_value());
  CHECK_FALSE(test.accept(1));

  serial = "first";
  CHECK_FALSE(test.stage(config).has_value());
}

TEST_CASE("a state directory that is full: what hosts know of a namespace is saved when there is room") {
  Stage test;
  const std::string config = config_with(R"({"block": "/dev/null"})");
  // In the place of the directory: nothing can be written there.
  const std::filesystem::path directory = test.directory.path();
  std::filesystem::rename(directory, directory.string() + ".away");
  std::ofstream(directory) << "a file";
  const auto staged = test.stage(config);
  REQUIRE(staged.has_value());
  REQUIRE(test.storage.unkept().size() == 1);
  CHECK(test.storage.unkept()[0].starts_with("namespace 1 of " + std::string(kNqn) + ": "));
  test.keep_again();
  CHECK(test.storage.unkept().size() == 1);

  std::filesystem::remove(directory);
  std::filesystem::rename(directory.string() + ".away", directory);
  test.keep_again();
  CHECK(test.storage.unkept().empty());
  CHECK(std::filesystem::exists(test.identifiers.path_of(kNqn, 1)));
}

TEST_CASE("64 devices that do not answer are waited for together, and fail the change") {
  const auto answer = std::make_shared<std::promise<void>>();
  const std::shared_future<void> answered = answer->get_future().share();
  Stage test(
      [answered](const auto& spec) {
        answered.wait();
        return std::make_unique<Disk>(spec);
      },
      milliseconds(0));
  std::string namespaces;
  for (int i = 1; i <= 64; ++i) {
    const std::string path = test.directory.path() + "/" + std::to_string(i);
    std::ofstream(path) << "data";
    namespaces += (i > 1 ? R"(, {"file": ")" : R"({"file": ")") + path + R"("})";
  }
  CHECK_FALSE(test.stage(config_with(namespaces)).has_value());
  REQUIRE(test.reasons.size() == 64);
  // No promise that it is served later: nothing changes.
  CHECK(test.reasons.back().ends_with("64 does not answer: opening it takes more than 0 s"));
  CHECK(test.storage.namespaces().empty());
  answer->set_value();
}

}  // namespace
}  // namespace nvmf::daemon
