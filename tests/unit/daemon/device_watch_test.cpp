// How the daemon notices files that appear and disappear.
#include "target/daemon/device_watch.h"

#include <doctest/doctest.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <fstream>
#include <functional>

#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

// A directory of its own, and a watch of names in it that counts what it reports.
struct Watched {
  explicit Watched(const std::string& name) {
    REQUIRE(hears([&] { watch.watch({folder / name}); }));
  }
  void make(const std::string& name) const { std::ofstream(folder / name) << "x"; }
  // Whether a change is reported; `patience` is how long its absence is believed.
  bool hears(const std::function<void()>& happening, std::chrono::seconds patience = std::chrono::seconds(60)) {
    reports = 0;
    happening();
    io.restart();
    io.run_for(patience);
    return reports > 0;
  }

  boost::asio::io_context io;
  Scratch scratch;
  const std::filesystem::path folder = scratch.path();
  int reports = 0;
  DeviceWatch watch{io, [this] {
                      ++reports;
                      io.stop();
                    }};
};

TEST_CASE("a file comes, goes, and comes again: each is heard of, once") {
  Watched watched("disk");
  CHECK(watched.hears([&] { watched.make("disk"); }));
  CHECK(watched.reports == 1);
  CHECK(watched.hears([&] { std::filesystem::remove(watched.folder / "disk"); }));
  CHECK(watched.hears([&] { watched.make("disk"); }));
}

TEST_CASE("a file in a directory that is not there yet") {
  Watched watched("by-id/nvme/disk");
  CHECK(watched.hears([&] { std::filesystem::create_directories(watched.folder / "by-id" / "nvme"); }));
  CHECK(watched.hears([&] { watched.make("by-id/nvme/disk"); }));
}

TEST_CASE("what a link names comes and goes") {
  Watched watched("by-id/disk");
  std::filesystem::create_directories(watched.folder / "by-id");
  const auto link = [&] {
    std::filesystem::create_symlink(watched.folder / "disk", watched.folder / "by-id" / "disk");
  };
  CHECK(watched.hears(link));
  CHECK(watched.hears([&] { watched.make("disk"); }));
  CHECK(watched.hears([&] { std::filesystem::remove(watched.folder / "disk"); }));
}

TEST_CASE("any name with a beginning") {
  Watched watched("ng*");
  CHECK(watched.hears([&] { watched.make("ng0n1"); }));
  CHECK(watched.hears([&] { watched.make("ng17n1"); }));
  CHECK_FALSE(watched.hears([&] { watched.make("nvme0n1"); }, std::chrono::seconds(1)));
}

// Issue: the former watches took what they had not delivered yet with them, and a device that had gone was served on.
TEST_CASE("a file goes, and other paths are watched before that is heard of: it is heard of all the same") {
  Watched watched("disk");
  REQUIRE(watched.hears([&] { watched.make("disk"); }));
  const auto remove_and_watch = [&] {
    std::filesystem::remove(watched.folder / "disk");
    watched.watch.watch({watched.folder / "disk", watched.folder / "another"});
  };
  CHECK(watched.hears(remove_and_watch));
  CHECK(watched.reports == 1);
}

TEST_CASE("the same paths are watched again: nothing is lost, and nothing is heard of that did not happen") {
  Watched watched("disk");
  const std::vector<std::string> same{watched.folder / "disk"};
  CHECK_FALSE(watched.hears([&] { watched.watch.watch(same); }, std::chrono::seconds(1)));
  const auto make_and_watch = [&] {
    watched.make("disk");
    watched.watch.watch(same);
  };
  CHECK(watched.hears(make_and_watch));
}

// udev makes a link under another name, and gives it its own when it is ready.
TEST_CASE("a file comes and goes by another name") {
  Watched watched("disk");
  watched.make("other");
  CHECK(watched.hears([&] { std::filesystem::rename(watched.folder / "other", watched.folder / "disk"); }));
  CHECK(watched.hears([&] { std::filesystem::rename(watched.folder / "disk", watched.folder / "other"); }));
}

TEST_CASE("the permissions of a file change") {
  Watched watched("disk");
  REQUIRE(watched.hears([&] { watched.make("disk"); }));
  CHECK(watched.hears([&] { std::filesystem::permissions(watched.folder / "disk", std::filesystem::perms::none); }));
}

TEST_CASE("a directory goes, and comes again with its file") {
  Watched watched("disks/disk");
  REQUIRE(watched.hears([&] { std::filesystem::create_directories(watched.folder / "disks"); }));
  CHECK(watched.hears([&] { std::filesystem::remove(watched.folder / "disks"); }));
  const auto make_both = [&] {
    std::filesystem::create_directories(watched.folder / "disks");
    watched.make("disks/disk");
  };
  CHECK(watched.hears(make_both));
}

TEST_CASE("a directory is renamed and another takes its place: what comes there is heard of") {
  Watched watched("disks/disk");
  REQUIRE(watched.hears([&] { std::filesystem::create_directories(watched.folder / "disks"); }));
  const auto replace = [&] {
    std::filesystem::rename(watched.folder / "disks", watched.folder / "former");
    std::filesystem::create_directories(watched.folder / "disks");
  };
  CHECK(watched.hears(replace));
  CHECK(watched.hears([&] { watched.make("disks/disk"); }));
}

// Each puts the report off.
TEST_CASE("changes come and do not end: they are reported all the same") {
  Watched watched("disk");
  boost::asio::steady_timer timer(watched.io);
  const std::function<void(const boost::system::error_code&)> change = [&](const boost::system::error_code&) {
    watched.make("disk");
    std::filesystem::remove(watched.folder / "disk");
    timer.expires_after(std::chrono::milliseconds(50));
    timer.async_wait(change);
  };
  CHECK(watched.hears([&] { change({}); }));
}

TEST_CASE("other files are none of its business, nor is what was watched before") {
  Watched watched("disk");
  REQUIRE(watched.hears([&] { watched.watch.watch({watched.folder / "another"}); }));
  const auto make_others = [&] {
    watched.make("disk");
    watched.make("other");
  };
  CHECK_FALSE(watched.hears(make_others, std::chrono::seconds(1)));
}

}  // namespace
}  // namespace nvmf::daemon
