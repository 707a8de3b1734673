// `save`, to an operator who edits the same file, and on a machine where something goes wrong in the middle of it.
#include "target/daemon/running_config.h"

#include <doctest/doctest.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/parse.h"
#include "target/daemon/durable_file.h"
#include "tests/unit/daemon/running_config_support.h"
#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

TEST_CASE("operator saves: the file has the change, the copy has what the file was") {
  const Operator who;
  RunningConfig running = who.start();
  change_log_level(running, "debug");
  CHECK(running.unsaved() == std::vector<std::string>{"change log_level from \"info\" to \"debug\""});
  CHECK(save(running, false).files == std::vector<std::string>{who.file});
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
  who.reload(running);
  CHECK(save(running, false).files.empty());
  CHECK(contents(who.file) == edited);
}

TEST_CASE("the file is gone: saved anew only when the operator insists; the target of a link that is gone, too") {
  const Operator who;
  RunningConfig running = who.start();
  change_log_level(running, "debug");
  const std::string target = who.scratch.path() + "/target.json";
  std::filesystem::remove(who.file);
  CHECK_THROWS_AS(save(running, false), Refused);
  save(running, true);
  CHECK(config::load(who.file).config->log_level == config::LogLevel::debug);
  std::filesystem::remove(who.file);
  std::filesystem::create_symlink("target.json", who.file);
  save(running, true);
  CHECK(std::filesystem::is_symlink(who.file));
  CHECK(config::load(target).config->log_level == config::LogLevel::debug);
  CHECK_FALSE(std::filesystem::exists(who.copy()));
}

TEST_CASE("the file was emptied: saved anew when the operator insists") {
  const Operator who;
  RunningConfig running = who.start();
  who.write("");
  CHECK_THROWS_AS(save(running, false), Refused);
  save(running, true);
  CHECK(config::load(who.file).config.has_value());
}

TEST_CASE("the file is edited to what runs: saving leaves it and its comments as they are") {
  const Operator who;
  RunningConfig running = who.start();
  change_log_level(running, "debug");
  const std::string edited = R"({"log_level": "debug", /* as it runs */ "ports": [], "subsystems": []})";
  who.write(edited);
  CHECK(save(running, false).files.empty());
  CHECK(running.unsaved().empty());
  CHECK(contents(who.file) == edited);
  CHECK_FALSE(std::filesystem::exists(who.copy()));
  change_log_level(running, "warn");
  CHECK(save(running, false).files.size() == 1);
  CHECK(contents(who.copy()) == edited);
}

TEST_CASE("no change is unsaved: the file keeps its comments") {
  const Operator who;
  RunningConfig running = who.start();
  CHECK(save(running, false).files.empty());
  CHECK(save(running, true).files.empty());
  CHECK(contents(who.file) == kText);
}

TEST_CASE("a reload loses the unsaved changes that its file undoes or replaces, and no other") {
  const Operator who;
  RunningConfig running = who.start();
  change_log_level(running, "debug");
  const auto lost_by = [&](const std::string& text) { return running.lost_by(*config::parse(text, "file").config); };
  const std::vector<std::string> change = {"change log_level from \"info\" to \"debug\""};
  CHECK(lost_by(kText) == change);
  CHECK(lost_by(R"({"log_level": "warn", "ports": [], "subsystems": []})") == change);
  CHECK(lost_by(R"({"log_level": "debug", "shutdown_timeout_ms": 4000, "ports": [], "subsystems": []})").empty());
  const std::string rest = R"(}, "log_level": "debug", "ports": [], "subsystems": []})";
  const std::string limits = R"({"limits": {"max_controllers": 100, "max_new_controllers_per_s": 400)";
  running.replace(*config::parse(limits + rest, "file").config, config::Json::parse(limits + rest));
  CHECK(lost_by(R"({"limits": {"max_controllers": 100)" + rest).size() == 1);
  CHECK(lost_by(limits + R"(, "max_new_controllers_per_s_per_host": 50)" + rest).empty());
}

TEST_CASE("owner, group and mode of the file stay, and the copy has them too") {
  const Operator who;
  REQUIRE(chmod(who.file.c_str(), 0640) == 0);
  const bool is_root = chown(who.file.c_str(), kStranger, kStranger) == 0;
  RunningConfig running = who.start();
  change_log_level(running, "debug");
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
  std::filesystem::create_symlink(precious, fresh_name(who.file));
  std::filesystem::create_symlink(precious, who.copy());
  RunningConfig running = who.start();
  change_log_level(running, "debug");
  save(running, false);
  CHECK(contents(precious) == "data");
  CHECK(contents(who.copy()) == kText);
  std::ofstream(fresh_name(who.file)) << "half";
  std::ofstream(fresh_name(who.copy())) << "half";
  running.remove_leftovers();
  CHECK_FALSE(std::filesystem::exists(fresh_name(who.file)));
  CHECK_FALSE(std::filesystem::exists(fresh_name(who.copy())));
}

TEST_CASE("a daemon that may not give files away: no other group gets rights on the file") {
  const Operator who;
  if (chown(who.scratch.path().c_str(), kStranger, kStranger) != 0) {
    MESSAGE("skipped: only root may give files away");
    return;
  }
  REQUIRE(chmod(who.file.c_str(), 0664) == 0);
  const FileAccess access = access_of(who.file);
  const int ended = test::in_a_process([&] {
    if (setgroups(0, nullptr) != 0 || setgid(kStranger) != 0 || setuid(kStranger) != 0) _exit(1);
    if (replace_durably(who.file, "new", access)) _exit(2);
  });
  CHECK(ended == test::kFinished);
  CHECK(access_of(who.file).owner == kStranger);
  CHECK(access_of(who.file).mode == 0644);
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
    CHECK_FALSE(std::filesystem::exists(fresh_name(who.file)));
  }
}

}  // namespace
}  // namespace nvmf::daemon
