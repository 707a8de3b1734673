// `save`, to an operator who edits the same file, and on a machine where something goes wrong in the middle of it.
#include "target/daemon/running_config.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "config/parse.h"
#include "target/daemon/durable_file.h"
#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

constexpr char kText[] = R"({
  // the operator's comment
  "log_level": "info", "ports": [], "subsystems": []
})";
constexpr uid_t kStranger = 12345;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Operator {
  Scratch scratch;
  std::string file = scratch.path() + "/config.json";

  explicit Operator(const std::string& text = kText) { write(text); }
  void write(const std::string& text) const { std::ofstream(file, std::ios::trunc) << text; }
  RunningConfig start() const {
    std::string text;
    config::Result loaded = config::load(file, &text);
    REQUIRE(loaded.config.has_value());
    return {*std::move(loaded.config), text};
  }
  std::string copy() const { return file + "~"; }
};

std::string save(RunningConfig& running, bool force) {
  boost::asio::io_context io;
  WorkerThread files;
  auto saved = boost::asio::co_spawn(io, running.save(force, files), boost::asio::use_future);
  io.run();
  return saved.get();
}

void change_log_level(RunningConfig& running, const std::string& level) {
  config::Json document = running.document();
  document["log_level"] = level;
  running.replace(*config::parse(config::text_of(document), running.file()).config, document);
}

TEST_CASE("operator saves: the file has the change, the copy has what the file was") {
  const Operator who;
  RunningConfig running = who.start();
  change_log_level(running, "debug");
  CHECK(running.unsaved() == std::vector<std::string>{"change log_level from \"info\" to \"debug\""});
  CHECK(save(running, false) == who.file);
  CHECK(running.unsaved().empty());
  CHECK(contents(who.copy()) == kText);
  CHECK(config::load(who.file).config->log_level == config::LogLevel::debug);
  change_log_level(running, "warn");
  save(running, false);
  CHECK(config::load(who.file).config->log_level == config::LogLevel::warn);
}

TEST_CASE("a change and its undoing leave nothing to save; a hundred changes of one key leave one line") {
  const Operator who;
  RunningConfig running = who.start();
  for (int i = 0; i < 50; ++i) {
    change_log_level(running, "debug");
    change_log_level(running, "warn");
  }
  CHECK(running.unsaved() == std::vector<std::string>{"change log_level from \"info\" to \"warn\""});
  change_log_level(running, "info");
  CHECK(running.unsaved().empty());
}

TEST_CASE("the file was edited by hand: save refuses until it is read or the operator insists") {
  const Operator who;
  RunningConfig running = who.start();
  change_log_level(running, "debug");
  const std::string edited = R"({"log_level": "trace", "ports": [], "subsystems": []})";
  who.write(edited);
  CHECK_THROWS_AS(save(running, false), Refused);
  CHECK(contents(who.file) == edited);
  CHECK_FALSE(std::filesystem::exists(who.copy()));
  CHECK(running.unsaved().size() == 1);
  save(running, true);
  CHECK(contents(who.copy()) == edited);
  CHECK(config::load(who.file).config->log_level == config::LogLevel::debug);
  who.write(edited);
  running.replace_by_file(*config::load(who.file).config, edited);
  CHECK(save(running, false) == who.file);
}

TEST_CASE("owner, group and mode of the file stay, and the copy has them too") {
  const Operator who;
  REQUIRE(chmod(who.file.c_str(), 0640) == 0);
  const bool is_root = chown(who.file.c_str(), kStranger, kStranger) == 0;
  RunningConfig running = who.start();
  save(running, false);
  for (const std::string& file : {who.file, who.copy()}) {
    struct stat status {};
    REQUIRE(stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0640);
    if (is_root) CHECK(status.st_uid == kStranger);
  }
}

TEST_CASE("what a killed daemon left, and links that somebody made there, are removed and never written to") {
  const Operator who;
  const std::string precious = who.scratch.path() + "/precious";
  std::ofstream(precious) << "data";
  std::filesystem::create_symlink(precious, who.file + ".new");
  std::filesystem::create_symlink(precious, who.copy());
  RunningConfig running = who.start();
  save(running, false);
  CHECK(contents(precious) == "data");
  CHECK(contents(who.copy()) == kText);
  std::ofstream(who.file + ".new") << "half";
  std::ofstream(who.copy() + ".new") << "half";
  running.remove_leftovers();
  CHECK_FALSE(std::filesystem::exists(who.file + ".new"));
  CHECK_FALSE(std::filesystem::exists(who.copy() + ".new"));
}

TEST_CASE("the disk is full at any step: the file has its old content and nothing is left beside it") {
  const Operator who;
  const FileAccess access = access_of(who.file);
  for (const DurableStep full :
       {DurableStep::Create, DurableStep::Write, DurableStep::SetAccess, DurableStep::SyncFile, DurableStep::Rename}) {
    const auto fail = [&](DurableStep step) {
      if (step == full) throw std::runtime_error("no space");
    };
    CHECK_THROWS(replace_durably(who.file, "new", access, fail));
    CHECK(contents(who.file) == kText);
    CHECK_FALSE(std::filesystem::exists(who.file + ".new"));
  }
}

}  // namespace
}  // namespace nvmf::daemon
