// A config in several files: what drop-ins add, how mistakes name both files, and which files are read.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "config/edit.h"
#include "config/schema.h"
#include "tests/unit/config/broken.h"
#include "tests/unit/scratch.h"

namespace nvmf::config::test {
namespace {

constexpr char kFile[] = "/etc/nvmf-p2p/config.json";
constexpr char kVolume[] = "/etc/nvmf-p2p/conf.d/volume.json";
constexpr char kTenant[] = "/etc/nvmf-p2p/conf.d/tenant.json";
constexpr char kUuid[] = R"("uuid": "2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21")";

// "nqn.2026-01.io.example:NAME", with one namespace.
std::string subsystem(const std::string& name, const std::string& space, const std::string& more = "") {
  return R"({"nqn": "nqn.2026-01.io.example:)" + name + R"(", "allow_any_host": true, )" + more + R"("namespaces": [)" +
         space + "]}";
}

std::string drop_in(const std::string& subsystems) { return R"({"subsystems": [)" + subsystems + "]}"; }

std::string config_file(const std::string& subsystems) {
  return "{\"ports\": [{\"id\": 1, \"address\": \"10.0.0.1\"}, {\"id\": 2, \"address\": \"10.0.0.2\"}],\n "
         "\"subsystems\": [" +
         subsystems + "]}";
}

std::vector<std::string> lines_of(const Result& result) {
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : result.diagnostics) lines.push_back(to_string(diagnostic));
  return lines;
}

using Lines = std::vector<std::string>;

const std::string kMain = config_file(subsystem("a", R"({"memory": 512})"));

TEST_CASE("the subsystems of all files are one config; each knows the file and the place where it stands") {
  const Sources sources{.file = {kFile, kMain},
                        .drop_ins = {{kTenant, drop_in(subsystem("b", R"({"memory": 512})"))},
                                     {kVolume, "{// none yet\n \"subsystems\": []}"},
                                     {"c.json", "{\n" + drop_in(subsystem("c", R"({"memory": 512})")).substr(1)}}};
  const Result result = parse(sources);
  CHECK(lines_of(result) == Lines{});
  REQUIRE(result.config.has_value());
  const Config& config = *result.config;
  CHECK((config.drop_ins == Lines{kTenant, kVolume, "c.json"}));
  REQUIRE(config.subsystems.size() == 3);
  CHECK(location(config, config.subsystems[0].position) == "/etc/nvmf-p2p/config.json:2:17");
  CHECK(location(config, config.subsystems[1].position) == "/etc/nvmf-p2p/conf.d/tenant.json:1:17");
  CHECK(location(config, config.subsystems[2].namespaces[0].backend_position).starts_with("c.json:2:"));
  CHECK((config.subsystems[2].ports == std::vector<uint16_t>{1, 2}));
  for (size_t i = 0; i < 3; ++i) CHECK(path_of_subsystem(config, i) == "$.subsystems[0]");
}

TEST_CASE("the config file has no subsystem of its own: no warning when a drop-in has one") {
  CHECK(lines_of(parse({.file = {kFile, config_file("")}})).size() == 1);
  CHECK(lines_of(parse({.file = {kFile, config_file("")}, .drop_ins = {{kVolume, drop_in("")}}})).size() == 1);
  const Sources sources{.file = {kFile, config_file("")},
                        .drop_ins = {{kVolume, drop_in(subsystem("b", R"({"memory": 512})"))}}};
  CHECK(lines_of(parse(sources)) == Lines{});
}

TEST_CASE(
    "a broken drop-in is the cause of what is missing: no warning that there is no subsystem, or no host with a key") {
  std::string empty = config_file("");
  empty.insert(1, R"("discovery": {"require_authentication": true}, )");
  const std::string keys = R"("hosts": [{"nqn": "nqn.2026-01.io.example:h", "key_file": "/k"}], )";
  CHECK(lines_of(parse({.file = {kFile, empty}})).size() == 2);
  for (const std::string& broken :
       {std::string("{"), std::string("[]"), std::string(R"({"subsystem": []})"), std::string(R"({"subsystems": 1})"),
        drop_in(subsystem("b", R"({"memory": 7})", keys).replace(1, 5, "\"nqm\"")), std::string("{}")}) {
    CAPTURE(broken);
    const Result result = parse({.file = {kFile, empty}, .drop_ins = {{kVolume, broken}}});
    REQUIRE(!result.diagnostics.empty());
    for (const Diagnostic& one : result.diagnostics) CHECK(one.file == kVolume);
  }
}

// Each with a ^ where the mistake must be reported, beside kMain.
const std::vector<Broken> kMistakes = {
    {"^[]", "$: an array where an object is expected; write a drop-in as { \"key\": value, ... }"},
    {"^{}", "$: a drop-in without \"subsystems\"; add it"},
    {"{\"subsystems\": [],\n ^\"frobnicate\": 1}",
     "$.frobnicate: not a key of a drop-in; write one of \"$schema\" or \"subsystems\""},
    {"{^\"subsystem\": []}", "$.subsystem: not a key of a drop-in; did you mean \"subsystems\"?"},
    {"{\"subsystems\": [],\n ^\"ports\": []}",
     "$.ports: a drop-in may have \"subsystems\", but no key that concerns the whole target; write it in "
     "/etc/nvmf-p2p/config.json"},
    {"{\"subsystems\": []^", "$: the file ends inside the object that begins at 1:1; close it with }"},
    {"{\"subsystems\": [{\"nqn\": ^\"nqn.2026-01.io.example:a\", \"allow_any_host\": true, \"namespaces\": "
     "[{\"memory\": 512}]}]}",
     "$.subsystems[0].nqn: the same NQN as $.subsystems[0].nqn of /etc/nvmf-p2p/config.json:2:25; give each its own"},
    {drop_in(subsystem("b", R"({"memory": 512})", R"("ports": [1, ^9], )")),
     "$.subsystems[0].ports[1]: there is no port 9; write 1 or 2"},
    {drop_in(subsystem("b", R"({"memory": 512})") + ",\n" + subsystem("c", R"({"memory": 512}, {"memory": ^7})")),
     "$.subsystems[1].namespaces[1].memory: 7 is out of range; write 512 bytes to 1024 TiB"},
};

TEST_CASE("a mistake in a drop-in: reported with its file, line and column, and what would be right") {
  for (const Broken& broken : kMistakes) {
    CAPTURE(broken.text);
    const Result result = parse({.file = {kFile, kMain}, .drop_ins = {{kVolume, without_mark(broken.text)}}});
    REQUIRE(result.diagnostics.size() == 1);
    const Diagnostic& only = result.diagnostics.front();
    CHECK(words_of(only) == broken.expected);
    CHECK(only.file == kVolume);
    CHECK(only.position.line == position_of_mark(broken.text).line);
    CHECK(only.position.column == position_of_mark(broken.text).column);
    CHECK_FALSE(result.config.has_value());
  }
}

TEST_CASE("every key of the config file but the subsystems is refused in a drop-in, with the file that it belongs to") {
  const auto schema = nlohmann::ordered_json::parse(schema_text());
  for (const auto& property : schema.at("properties").items()) {
    const std::string key = property.key();
    const bool is_allowed = key == "$schema" || key == "subsystems";
    const std::string text = key == "subsystems" ? drop_in("") : R"({"subsystems": [], ")" + key + R"(": "x"})";
    const Result result = parse({.file = {kFile, kMain}, .drop_ins = {{kVolume, text}}});
    CAPTURE(key);
    CHECK(result.config.has_value() == is_allowed);
    if (!is_allowed) CHECK(result.diagnostics.at(0).remedy == "write it in /etc/nvmf-p2p/config.json");
  }
}

TEST_CASE("two drop-ins with one NQN: the message has the positions in both files") {
  const std::string text = drop_in(subsystem("b", R"({"memory": 512})"));
  const Result result = parse({.file = {kFile, kMain}, .drop_ins = {{kTenant, text}, {kVolume, "\n" + text}}});
  CHECK(
      lines_of(result) ==
      Lines{"/etc/nvmf-p2p/conf.d/volume.json:2:25: error: $.subsystems[0].nqn: the same NQN as $.subsystems[0].nqn of "
            "/etc/nvmf-p2p/conf.d/tenant.json:1:25; give each its own"});
}

TEST_CASE("a device that two files share wrongly, and identifiers of two devices: the message has both positions") {
  const auto mistakes = [](const std::string& in_file, const std::string& in_drop_in) {
    return lines_of(parse({.file = {kFile, config_file(subsystem("a", in_file))},
                           .drop_ins = {{kVolume, drop_in(subsystem("b", in_drop_in))}}}));
  };
  CHECK(mistakes(R"({"nvme": "/dev/ng0n1"})", R"({"block": "/dev/nvme0n1"})") ==
        Lines{"/etc/nvmf-p2p/conf.d/volume.json:1:102: error: $.subsystems[0].namespaces[0].block: the same device is "
              "\"nvme\" in $.subsystems[0] of /etc/nvmf-p2p/config.json:2:101, and can be opened in one way only; name "
              "it by the same key"});
  const std::string uuid = ", " + std::string(kUuid) + "}";
  CHECK(
      mistakes(R"({"memory": 512)" + uuid, R"({"memory": 512)" + uuid) ==
      Lines{"/etc/nvmf-p2p/conf.d/volume.json:1:116: error: $.subsystems[0].namespaces[0].uuid: another device has the "
            "same UUID in $.subsystems[0] of /etc/nvmf-p2p/config.json:2:116; give each its own, because hosts would "
            "mistake one device for the other"});
  CHECK(mistakes(R"({"block": "/dev/sda")" + uuid, R"({"block": "/dev/sda")" + uuid) == Lines{});
}

TEST_CASE("what must be unique in a subsystem may be the same in the subsystem of another file") {
  const std::string more = R"("hosts": [{"nqn": "nqn.2026-01.io.example:h", "key_file": "/k"}], )"
                           R"("ana": [{"group": 1, "port": 1, "state": "inaccessible"}], "ports": [1], )";
  const auto one = [&](const std::string& name) {
    std::string text = subsystem(name, R"({"nsid": 1, "block": "/dev/sda"})", more);
    return text.replace(text.find("\"allow_any_host\": true, "), 24, "");
  };
  const Result result = parse({.file = {kFile, config_file(one("a"))},
                               .drop_ins = {{kTenant, drop_in(one("b"))}, {kVolume, drop_in(one("c"))}}});
  CHECK(lines_of(result) == Lines{});
}

TEST_CASE("the mistakes of all files are reported at once, in the order of the files") {
  const Result result = parse({.file = {kFile, "{\"prots\": [],\n" + kMain.substr(1)},
                               .drop_ins = {{kTenant, "{\n\n\n"}, {kVolume, "{\"subsystems\": 1}"}}});
  REQUIRE(result.diagnostics.size() == 3);
  CHECK(result.diagnostics[0].file == kFile);
  CHECK(result.diagnostics[1].file == kTenant);
  CHECK(
      to_string(result.diagnostics[2]) ==
      "/etc/nvmf-p2p/conf.d/volume.json:1:16: error: $.subsystems: a number where an array is expected; put it in [ ]");
}

TEST_CASE("the bounds of one file hold for all files together") {
  std::string many;
  for (int i = 0; i < 1024; ++i)
    many += (i == 0 ? "" : ",\n") + subsystem("n" + std::to_string(i), R"({"memory": 512})");
  const auto with = [&](const std::string& text) {
    return parse({.file = {kFile, config_file(many)}, .drop_ins = {{kVolume, text}}});
  };
  CHECK(with(drop_in("")).config.has_value());
  CHECK(lines_of(with(drop_in(subsystem("b", R"({"memory": 512})")))) ==
        Lines{"/etc/nvmf-p2p/conf.d/volume.json:1:16: error: $.subsystems: 1025 subsystems in this file and those "
              "before it; at most 1024 are possible"});
  const std::vector<SourceFile> drop_ins(kMaxDropIns + 1, {kVolume, drop_in("")});
  CHECK(lines_of(parse({.file = {kFile, kMain}, .drop_ins = drop_ins})) ==
        Lines{"/etc/nvmf-p2p/config.json: error: 1025 drop-ins; at most 1024 are read: put several subsystems in one "
              "file"});
  const std::string blanks(kMaxFileBytes - 10, ' ');
  CHECK(lines_of(with(blanks)) ==
        Lines{"/etc/nvmf-p2p/conf.d/volume.json: error: the config file and the drop-ins up to "
              "this one are too long; at most 4 MiB are read"});
}

TEST_CASE("what is to be edited has the subsystems of all files, each namespace with its nsid") {
  const Sources sources{.file = {kFile, kMain},
                        .drop_ins = {{kTenant, drop_in(subsystem("b", R"({"memory": 512}, {"memory": 1024})"))}}};
  const Json document = editable(sources, *parse(sources).config);
  REQUIRE(document.at("subsystems").size() == 2);
  CHECK(document.at("subsystems").at(1).at("namespaces").at(1).at("nsid") == 2);
  CHECK(parse(text_of(document), "again").config.has_value());
}

TEST_CASE("all files in one text come back from it") {
  const Sources sources{.file = {kFile, kMain}, .drop_ins = {{kTenant, "\"ä\"\n"}, {kVolume, ""}}};
  const Sources again = sources_of(text_of(sources));
  CHECK((again.file == sources.file));
  CHECK((again.drop_ins == sources.drop_ins));
}

TEST_CASE("messages about an edited document name no place in it, because nobody has seen its text") {
  const Sources twice{.file = {"the changed config", config_file(subsystem("a", "") + ", " + subsystem("a", ""))}};
  Result same = parse_unseen(twice);
  forget_positions(same);
  const auto says = [](const Result& result, const std::string& what) {
    return std::ranges::any_of(lines_of(result),
                               [&](const std::string& line) { return line.find(what) != std::string::npos; });
  };
  CHECK(says(same,
             "error: subsystem nqn.2026-01.io.example:a: nqn: the same NQN as subsystem nqn.2026-01.io.example:a: nqn; "
             "give each its own"));
  CHECK(says(parse(twice), "the same NQN as $.subsystems[0].nqn in line "));
  Result mistaken = parse(config_file(subsystem("a", R"({"memory": 7})")), "the changed config");
  forget_positions(mistaken);
  CHECK(lines_of(mistaken).at(0).starts_with("error: subsystems[0]"));
  const std::string space = R"({"nsid": 3, "memory": "1MiB", "max_iops": "abc"})";
  CHECK(says(parse_unseen({.file = {"the changed config", config_file(subsystem("a", space))}, .drop_ins = {}}),
             "error: namespace 3 of nqn.2026-01.io.example:a: max_iops: "));
  Result good = parse(kMain, "the changed config");
  forget_positions(good);
  const Config& config = *good.config;
  CHECK(location(config, config.subsystems[0].namespaces[0].backend_position) == "the changed config");
}

// Files on disk -------------------------------------------------------------------------------------------------------

struct Place {
  Scratch scratch;
  std::string file = scratch.path() + "/config.json";
  std::string directory = scratch.path() + "/conf.d";

  Place() { write(file, kMain); }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  void add(const std::string& name, const std::string& text) const {
    std::filesystem::create_directory(directory);
    write(directory + "/" + name, text);
  }
  // What loading must say; the config is then refused.
  void check_refusal(const std::string& wanted) const {
    const Result result = load(file);
    CHECK_FALSE(result.config.has_value());
    REQUIRE(!result.diagnostics.empty());
    CHECK(to_string(result.diagnostics.front()) == wanted);
  }
};

TEST_CASE("the files *.json of conf.d are read in the order of their names, and no other files there") {
  const Place place;
  CHECK(load(place.file).config->drop_ins.empty());
  for (const char* const name : {"20-b.json", "10-c.json", "Z.json", "ä.json"})
    place.add(name, drop_in(subsystem(name, R"({"memory": 512})")));
  for (const char* const name : {"README", "old.json~", "x.json.disabled", ".hidden.json", ".json", "x.jso"})
    place.add(name, "not read");
  std::filesystem::create_directory(place.directory + "/more");
  Sources sources;
  const Result result = load(place.file, &sources);
  CHECK(lines_of(result) == Lines{});
  REQUIRE(result.config.has_value());
  std::vector<std::string> names;
  for (const std::string& name : result.config->drop_ins)
    names.push_back(std::filesystem::path(name).filename().string());
  CHECK((names == Lines{"10-c.json", "20-b.json", "Z.json", "ä.json"}));
  CHECK(sources.file.text == kMain);
  CHECK(sources.drop_ins.size() == 4);
}

TEST_CASE("drop-ins are beside the path that was given, not beside the file that a link leads to") {
  const Place place;
  place.add("b.json", drop_in(subsystem("b", R"({"memory": 512})")));
  const std::string elsewhere = place.scratch.path() + "/elsewhere";
  std::filesystem::create_directory(elsewhere);
  std::filesystem::create_symlink(place.file, elsewhere + "/config.json");
  CHECK(load(place.file).config->drop_ins.size() == 1);
  CHECK(load(elsewhere + "/config.json").config->drop_ins.empty());
  CHECK(drop_in_directory("config.json") == "conf.d");
  CHECK(drop_in_directory(kFile) == "/etc/nvmf-p2p/conf.d");
}

TEST_CASE("a drop-in that cannot be read refuses the config, so that its subsystems do not vanish") {
  const Place place;
  place.add("b.json", drop_in(subsystem("b", R"({"memory": 512})")));
  const std::string file = place.directory + "/c.json";
  const std::string remedy = "; remove it, or give it a name that does not end in .json";
  SUBCASE("a directory") {
    std::filesystem::create_directory(file);
    place.check_refusal(file + ": error: Is a directory" + remedy);
  }
  SUBCASE("a FIFO, which nobody waits for") {
    REQUIRE(mkfifo(file.c_str(), 0600) == 0);
    place.check_refusal(file + ": error: this is no regular file" + remedy);
  }
  SUBCASE("a link that leads nowhere") {
    std::filesystem::create_symlink("/nonexistent/c.json", file);
    place.check_refusal(file + ": error: No such file or directory" + remedy);
  }
}

TEST_CASE("a drop-in that cannot be read is the only fault, where the config file has no subsystem of its own") {
  const Place place;
  Place::write(place.file, config_file(""));
  std::filesystem::create_directories(place.directory + "/c.json");
  CHECK(lines_of(load(place.file)) ==
        Lines{place.directory + "/c.json: error: Is a directory; remove it, or give it a name that does not end in "
                                ".json"});
}

TEST_CASE("a directory of drop-ins that is something else, or that is missing where a link says that it is") {
  const Place place;
  const std::string remedy = "; make it a directory that the user who runs this command may read, or remove it";
  SUBCASE("a file") {
    Place::write(place.directory, "");
    place.check_refusal(place.directory + ": error: Not a directory" + remedy);
  }
  SUBCASE("a link that leads nowhere") {
    std::filesystem::create_symlink("/nonexistent", place.directory);
    place.check_refusal(place.directory + ": error: No such file or directory" + remedy);
  }
}

TEST_CASE("a stranger's directory of drop-ins, where everybody may write: refused") {
  const Place place;
  place.add("b.json", drop_in(subsystem("b", R"({"memory": 512})")));
  std::filesystem::permissions(place.scratch.path(), std::filesystem::perms::all);
  CHECK(load(place.file).config.has_value());
  constexpr uid_t kStranger = 12345;
  if (chown(place.directory.c_str(), kStranger, kStranger) != 0) return;  // only root can make the stranger's directory
  place.check_refusal(
      place.directory +
      ": error: somebody else made it in a directory where everybody may write; keep the config file in a "
      "directory of its own");
  std::filesystem::permissions(place.scratch.path(), std::filesystem::perms::owner_all);
  CHECK(load(place.file).config.has_value());
}

TEST_CASE("more drop-ins than are read are refused") {
  const Place place;
  for (size_t i = 0; i <= kMaxDropIns; ++i) place.add(std::to_string(i) + ".json", drop_in(""));
  place.check_refusal(place.directory +
                      ": error: 1025 drop-ins; at most 1024 are read: put several subsystems in one file");
}

TEST_CASE("drop-ins that are too long together are not all read") {
  const Place place;
  for (const char* const name : {"b.json", "c.json", "d.json"}) place.add(name, std::string(kMaxFileBytes / 2, ' '));
  place.check_refusal(place.directory +
                      "/c.json: error: the config file and the drop-ins up to this one are too long; at most 4 MiB are "
                      "read");
  Sources sources;
  read_sources(place.file, sources);
  CHECK(sources.drop_ins.size() == 1);
}

TEST_CASE("unreadable drop-ins and the mistakes of the other files are told at once") {
  const Place place;
  place.add("b.json", "{}");
  std::filesystem::create_directory(place.directory + "/c.json");
  const Result result = load(place.file);
  REQUIRE(result.diagnostics.size() == 2);
  CHECK(result.diagnostics[0].file == place.directory + "/c.json");
  CHECK(result.diagnostics[1].file == place.directory + "/b.json");
}

TEST_CASE("the path of a drop-in tells in which directory its config file is") {
  CHECK(directory_with_drop_in("/etc/nvmf-p2p/conf.d/volume.json") == "/etc/nvmf-p2p");
  CHECK(directory_with_drop_in("/etc/nvmf-p2p/conf.d/README").empty());
  CHECK(directory_with_drop_in("/etc/nvmf-p2p/config.json").empty());
}

}  // namespace
}  // namespace nvmf::config::test
