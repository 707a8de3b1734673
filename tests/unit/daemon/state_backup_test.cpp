// The state directory as one file, and back.
#include "target/daemon/state_backup.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "config/parse.h"
#include "target/daemon/file_lock.h"
#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr char kReservation[] = "reservation-0a000000-0000-4000-8000-000000000001.json";
constexpr char kIdentifiers[] = "identifiers-0a000000-0000-4000-8000-000000000002.json";

struct World : StateScratch {
  World() {
    fs::create_directories(directory);
    write(kReservation, "{\"format\": 1, \"rtype\": 1}\n");
    write(kIdentifiers, "{\"format\": 1}\n");
  }
  void write(const std::string& name, const std::string& content) const { std::ofstream(directory / name) << content; }
  std::string read(const fs::path& path) const {
    std::ostringstream content;
    content << std::ifstream(path).rdbuf();
    return content.str();
  }

  fs::path directory = path() + "/lib/state";
};

std::string fault_of(const Json& json) {
  try {
    backup_from(json.dump());
  } catch (const BadBackup& bad) {
    return bad.what();
  }
  return "";
}

TEST_CASE("proofs of CMBs, which hold for one machine and boot, are not part of a backup") {
  const World world;
  world.write("proof-0a000000-0000-4000-8000-000000000003.json", "{\"format\": 1}\n");
  const StateBackup backup = read_state(world.directory);
  CHECK(backup.files.size() == 2);
  CHECK(backup.ignored.empty());
}

TEST_CASE("operator backs up and restores: the same files, and what was there before stays beside") {
  const World world;
  const std::string text = text_of(read_state(world.directory));
  world.write(kReservation, "{\"format\": 1, \"rtype\": 6}\n");
  world.write("served-storage-0a000000-0000-4000-8000-000000000003.json", "{\"format\": 1}\n");
  chmod(world.directory.c_str(), 0750);

  const Restored done = restore(world.directory, backup_from(text));
  CHECK(done.owned);
  CHECK(world.read(world.directory / kReservation) == "{\"format\": 1, \"rtype\": 1}\n");
  CHECK(world.read(world.directory / kIdentifiers) == "{\"format\": 1}\n");
  CHECK(std::distance(fs::directory_iterator(world.directory), {}) == 2);
  CHECK(fs::status(world.directory).permissions() == fs::perms(0750));
  CHECK(fs::status(world.directory / kReservation).permissions() == fs::perms(0600));
  CHECK(world.read(done.former / kReservation) == "{\"format\": 1, \"rtype\": 6}\n");
  CHECK(done.former.parent_path() == world.directory.parent_path());
  CHECK(done.former.filename().string().starts_with("state.before-restore-"));

  const Restored again = restore(world.directory, backup_from(text));
  CHECK(again.former != done.former);
}

TEST_CASE("operator restores on a new machine: the directory is made") {
  const World world;
  const std::string text = text_of(read_state(world.directory));
  const fs::path elsewhere = world.path() + "/lib/new";
  CHECK(restore(elsewhere, backup_from(text)).former.empty());
  CHECK_THROWS_WITH(restore(world.path() + "/none/state", backup_from(text)), doctest::Contains("/none is missing"));
  CHECK(world.read(elsewhere / kIdentifiers) == "{\"format\": 1}\n");
}

TEST_CASE("a daemon uses the directory: nothing is restored, and nothing is left beside it") {
  const World world;
  const StateBackup backup = read_state(world.directory);
  const FileLock daemon(world.directory.string());
  CHECK_THROWS_WITH(restore(world.directory, backup), doctest::Contains("is in use by process"));
  CHECK(std::distance(fs::directory_iterator(world.directory.parent_path()), {}) == 1);
}

TEST_CASE("a backup has the daemon's files: not those of others, and not half of one that is being written") {
  const World world;
  world.write("notes.txt", "mine");
  world.write(std::string(".") + kReservation + ".nvmf-p2p-save", "{\"for");
  const StateBackup backup = read_state(world.directory);
  CHECK(backup.files.size() == 2);
  CHECK(backup.ignored == std::vector<std::string>{"notes.txt"});
}

TEST_CASE("what is no good backup is refused with the reason") {
  const World world;
  const Json good = Json::parse(text_of(read_state(world.directory)));
  CHECK(fault_of(good).empty());
  CHECK_THROWS_AS(backup_from("{"), BadBackup);
  CHECK_THROWS_AS(backup_from("[]"), BadBackup);
  CHECK_THROWS_AS(backup_from(""), BadBackup);
  CHECK(fault_of(Json::object()) == "it is not a backup of nvmf-p2p's state");
  const auto changed = [&](const Json::json_pointer& place, const Json& value) {
    Json bad = good;
    bad[place] = value;
    return fault_of(bad);
  };
  using Pointer = Json::json_pointer;
  CHECK(changed(Pointer("/format"), 2).find("in a format that this one does not know") != std::string::npos);
  CHECK(changed(Pointer("/files/0/content"), "{}").find("the checksum of identifiers-") != std::string::npos);
  CHECK(changed(Pointer("/files"), Json::array({good["files"][0]})).find("list of files") != std::string::npos);
  CHECK(changed(Pointer("/files"), 7).find("damaged") != std::string::npos);
  CHECK(changed(Pointer("/sha256"), nullptr).find("damaged") != std::string::npos);
}

TEST_CASE("a backup holds 4,096 namespaces with all their files, and restore takes what backup gives") {
  StateBackup backup;
  for (const char* const purpose : {"identifiers", "reservation", "served-storage", "write-protection"})
    for (int number = 0; number < 4096; ++number)
      backup.files.push_back({fmt::format("{}-0a000000-0000-4000-8000-{:012}.json", purpose, number),
                              "{\"format\": 1, \"of\": \"" + std::string(500, 'x') + "\"}\n"});
  const std::string text = restorable_text_of(backup, "/state");
  CHECK(text.size() > config::kMaxFileBytes);
  CHECK(begins_backup(text.substr(0, 512)));
  CHECK(backup_from(text).files.size() == backup.files.size());
}

TEST_CASE("a file of which restore would say that it is broken is named before it is in a backup") {
  const StateBackup backup{.files = {{kReservation, "{\"format\": "}}};
  CHECK_THROWS_WITH(restorable_text_of(backup, "/state"),
                    doctest::Contains((std::string("/state/") + kReservation + " is not JSON").c_str()));
}

TEST_CASE("what begins a backup") {
  CHECK(begins_backup(text_of({})));
  CHECK_FALSE(begins_backup(""));
  CHECK_FALSE(begins_backup("{\"ports\": []}"));
  CHECK_FALSE(begins_backup("{\"note\": 1, \"kind\": \"nvmf-p2p state backup\"}"));
}

TEST_CASE("a backup cannot place files elsewhere, whatever names it has, and none of a newer daemon") {
  for (const char* const name : {"../../etc/passwd", "/etc/passwd", "reservation-..json", "x.json",
                                 "reservation-/0000000-0000-4000-8000-000000000001.json"}) {
    CAPTURE(name);
    const StateBackup bad{.files = {{name, "{\"format\": 1}"}}};
    CHECK_THROWS_WITH_AS(backup_from(text_of(bad)), doctest::Contains("not one of the daemon's"), BadBackup);
  }
  const StateBackup twice{.files = {{kReservation, "{\"format\": 1}"}, {kReservation, "{\"format\": 1}"}}};
  CHECK_THROWS_WITH_AS(backup_from(text_of(twice)), doctest::Contains("twice"), BadBackup);
  const StateBackup newer{.files = {{kReservation, "{\"format\": 2}"}}};
  CHECK_THROWS_WITH_AS(backup_from(text_of(newer)), doctest::Contains("another version"), BadBackup);
}

}  // namespace
}  // namespace nvmf::daemon::test
