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
#include <functional>
#include <iterator>

#include "config/parse.h"
#include "target/daemon/durable_file.h"
#include "tests/unit/daemon/state_support.h"
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
  RunningConfig start(DurableHook before = {}) const {
    config::Sources sources;
    config::Result loaded = config::load(file, &sources);
    REQUIRE(loaded.config.has_value());
    return {*std::move(loaded.config), std::move(sources), std::move(before)};
  }
  // As a reload does.
  void reload(RunningConfig& running) const {
    config::Sources sources;
    config::Result loaded = config::load(file, &sources);
    REQUIRE(loaded.config.has_value());
    running.replace_by_files(*std::move(loaded.config), std::move(sources));
  }
  std::string copy() const { return file + "~"; }
};

SavedFiles save(RunningConfig& running, bool force) {
  boost::asio::io_context io;
  WorkerThread files;
  auto saved = boost::asio::co_spawn(io, running.save(force, files), boost::asio::use_future);
  io.run();
  return saved.get();
}

// As the admin API does.
void change(RunningConfig& running, const std::function<void(config::Json& document)>& edit) {
  config::Json document = running.document();
  edit(document);
  const config::Result changed = config::parse(config::text_of(document), "the changed config");
  REQUIRE(changed.config.has_value());
  running.replace(*changed.config, document);
}

void change_log_level(RunningConfig& running, const std::string& level) {
  change(running, [&](config::Json& document) { document["log_level"] = level; });
}

std::string refusal_of(RunningConfig& running, bool force = false) {
  try {
    save(running, force);
  } catch (const Refused& refused) {
    return refused.what();
  }
  FAIL("saving was not refused");
  return {};
}

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

// Drop-ins ------------------------------------------------------------------------------------------------------------

constexpr char kMainWithPort[] = R"({
  // the machine
  "ports": [{"id": 1, "address": "10.0.0.1"}],
  "subsystems": [{"nqn": "nqn.2026-01.io.example:main", "allow_any_host": true, "namespaces": [{"memory": 512}]}]
})";

std::string nqn(const std::string& name) { return "nqn.2026-01.io.example:" + name; }

// Of one subsystem with a namespace.
std::string drop_in(const std::string& name) {
  return "{\n  // volume " + name + "\n  \"$schema\": \"drop-in-schema.json\",\n  \"subsystems\": [{\"nqn\": \"" +
         nqn(name) + "\", \"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}]}]\n}\n";
}

struct Tenants : Operator {
  std::string a = add("a");
  std::string b = add("b");

  Tenants() : Operator(kMainWithPort) {}
  std::string add(const std::string& name) const {
    std::filesystem::create_directory(scratch.path() + "/conf.d");
    const std::string path = scratch.path() + "/conf.d/" + name + ".json";
    write_drop_in(path, drop_in(name));
    return path;
  }
  static void write_drop_in(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
  }
  // What a start would run.
  std::vector<std::string> nqns_on_disk() const {
    std::vector<std::string> nqns;
    const config::Result loaded = config::load(file);
    REQUIRE(loaded.config.has_value());
    for (const config::Subsystem& subsystem : loaded.config->subsystems) nqns.push_back(subsystem.nqn);
    return nqns;
  }
};

using Files = std::vector<std::string>;

void limit(RunningConfig& running, const std::string& name) {
  change(running, [&](config::Json& document) {
    config::find_namespace(document, nqn(name), 1)["max_iops"] =
        config::find_namespace(document, nqn(name), 1).value("max_iops", 0) + 1;
  });
}

TEST_CASE("each change goes back to the file that it came from; other files keep their comments") {
  const Tenants who;
  RunningConfig running = who.start();
  CHECK((running.drop_ins() == Files{who.a, who.b}));
  limit(running, "b");
  CHECK(save(running, false).files == Files{who.b});
  CHECK(contents(who.file) == kMainWithPort);
  CHECK(contents(who.a) == drop_in("a"));
  CHECK(contents(who.b + "~") == drop_in("b"));
  const config::Json saved = config::Json::parse(contents(who.b));
  CHECK(saved.at("$schema") == "drop-in-schema.json");
  CHECK(saved.at("subsystems").at(0).at("namespaces").at(0).at("max_iops") == 1);
  limit(running, "main");
  limit(running, "a");
  CHECK((save(running, false).files == Files{who.file, who.a}));
  CHECK(running.unsaved().empty());
  CHECK((who.nqns_on_disk() == Files{nqn("main"), nqn("a"), nqn("b")}));
  CHECK(config::load(who.file).config->subsystems[1].namespaces[0].max_iops == 1);
}

TEST_CASE(
    "a new subsystem and keys of the whole target go to the config file; a removed one leaves its drop-in empty") {
  const Tenants who;
  RunningConfig running = who.start();
  change(running, [](config::Json& document) {
    config::remove_subsystem(document, nqn("a"));
    config::add_subsystem(document, {{"nqn", nqn("new")}, {"allow_any_host", true}});
    document["log_level"] = "warn";
  });
  CHECK((save(running, false).files == Files{who.file, who.a}));
  CHECK((who.nqns_on_disk() == Files{nqn("main"), nqn("new"), nqn("b")}));
  CHECK(config::Json::parse(contents(who.a)).at("subsystems").empty());
  CHECK(config::load(who.file).config->log_level == config::LogLevel::warn);
  change(running, [](config::Json& document) {
    config::add_subsystem(document, {{"nqn", nqn("a")}, {"allow_any_host", true}});
  });
  CHECK(save(running, false).files == Files{who.file});
}

TEST_CASE("a port is added: drop-ins whose subsystems are on all ports are not written") {
  const Tenants who;
  RunningConfig running = who.start();
  change(running, [](config::Json& document) { config::add_port(document, {{"id", 2}, {"address", "10.0.0.2"}}); });
  CHECK(running.unsaved().size() == 4);
  CHECK(save(running, false).files == Files{who.file});
  CHECK(contents(who.a) == drop_in("a"));
}

TEST_CASE("the running config is replaced by another spelling of the same: nothing to save") {
  const Tenants who;
  RunningConfig running = who.start();
  change(running, [](config::Json& document) {
    config::find_subsystem(document, nqn("a"))["model"] = "nvmf-p2p";
    document["log_level"] = "info";
  });
  CHECK(running.unsaved().empty());
  CHECK(save(running, false).files.empty());
}

TEST_CASE("a drop-in was edited by hand: a change of it is refused, with its name; changes of other files are saved") {
  const Tenants who;
  RunningConfig running = who.start();
  std::string other = drop_in("b");
  other.replace(other.find("512"), 3, "1024");
  Tenants::write_drop_in(who.b, other);
  limit(running, "a");
  const SavedFiles saved = save(running, false);
  CHECK(saved.files == Files{who.a});
  CHECK(saved.left == Files{who.b});
  CHECK(contents(who.b) == other);

  limit(running, "b");
  limit(running, "main");
  CHECK(refusal_of(running) == who.b +
                                   " was changed after the daemon had read it; saving would undo that. Compare with "
                                   "`nvmf-p2p diff " +
                                   who.file +
                                   "`; then apply what the files have with `nvmf-p2p reload`, or write what runs with "
                                   "`nvmf-p2p save --force`");
  CHECK(contents(who.file) == kMainWithPort);
  CHECK((save(running, true).files == Files{who.file, who.b}));
  CHECK(contents(who.b + "~") == other);
  CHECK(running.unsaved().empty());
}

TEST_CASE(
    "a drop-in is gone: a change of it is refused, or with --force written anew; without a change it stays gone") {
  const Tenants who;
  RunningConfig running = who.start();
  std::filesystem::remove(who.b);
  limit(running, "a");
  CHECK(save(running, false).left == Files{who.b});
  CHECK_FALSE(std::filesystem::exists(who.b));
  limit(running, "b");
  CHECK(refusal_of(running).starts_with("there is no " + who.b + " any more; saving would undo that. "));
  CHECK(save(running, true).files == Files{who.b});
  CHECK((who.nqns_on_disk() == Files{nqn("main"), nqn("a"), nqn("b")}));
}

std::vector<std::string> hidden_files_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (const std::string name = entry.path().filename().string(); name.starts_with('.')) names.push_back(name);
  return names;
}

// A file with an owner and a mode of its own.
struct Watched {
  std::string path;
  std::string before;
  std::string after{};
  FileAccess access{};

  void begin(mode_t mode) {
    REQUIRE(chmod(path.c_str(), mode) == 0);
    static_cast<void>(chown(path.c_str(), kStranger, kStranger));  // where this process may
    access = access_of(path);
  }
  void check_access(const std::string& file) const {
    const FileAccess found = access_of(file);
    CHECK(found.owner == access.owner);
    CHECK(found.group == access.group);
    CHECK(found.mode == access.mode);
  }
  void check(bool is_saved) const {
    CAPTURE(path);
    const std::string text = contents(path);
    CHECK((text == after || (!is_saved && text == before)));
    check_access(path);
    const bool has_copy = std::filesystem::exists(path + "~");
    CHECK((has_copy || !is_saved));
    if (!has_copy) return;
    CHECK(contents(path + "~") == before);
    check_access(path + "~");
  }
  void restore() const {
    std::ofstream(path, std::ios::trunc) << before;
    std::filesystem::remove(path + "~");
  }
};

TEST_CASE("save is killed before any of its steps: each file is the old one or the new one, its owner and mode stay") {
  const Tenants who;
  std::vector<Watched> files = {{.path = who.file, .before = kMainWithPort}, {.path = who.a, .before = drop_in("a")}};
  const auto save_both = [&](const DurableHook& hook) {
    RunningConfig running = who.start(hook);
    limit(running, "main");
    limit(running, "a");
    save(running, false);
  };
  save_both({});
  for (Watched& file : files) {
    file.after = contents(file.path);
    file.restore();
    file.begin(file.path == who.file ? 0640 : 0604);
  }
  const int steps = test::kill_before_each_step(save_both, [&](int step, bool came_through) {
    for (const Watched& file : files) file.check(came_through);
    if (step % 2 == 0)
      who.start().remove_leftovers();
    else
      save_both({});
    CHECK(hidden_files_in(who.scratch.path()).empty());
    for (const Watched& file : files) {
      file.restore();
      file.check_access(file.path);
    }
  });
  CHECK(steps > 20);
}

TEST_CASE("save is killed while it writes a drop-in anew that was gone: the next start removes what it left") {
  const Tenants who;
  const std::string left = fresh_name(who.b);
  const auto save_anew = [&](const DurableHook& hook) {
    RunningConfig running = who.start(hook);
    std::filesystem::remove(who.b);
    limit(running, "b");
    save(running, true);
  };
  test::kill_before_each_step(save_anew, [&](int, bool) {
    who.start().remove_leftovers();
    CHECK(hidden_files_in(who.scratch.path()).empty());
    Tenants::write_drop_in(who.b, drop_in("b"));
  });
  CHECK_FALSE(std::filesystem::exists(left));
}

TEST_CASE("no change is unsaved, but files were spoiled: refused with the name of each, or with --force written anew") {
  const Tenants who;
  RunningConfig running = who.start();
  Tenants::write_drop_in(who.a, "");
  std::filesystem::remove(who.b);
  const std::string refusal = refusal_of(running);
  CHECK(refusal.starts_with(who.a + " was changed after the daemon had read it, and there is no " + who.b +
                            " any more;"));
  CHECK((save(running, true).files == Files{who.a, who.b}));
  CHECK((who.nqns_on_disk() == Files{nqn("main"), nqn("a"), nqn("b")}));
  CHECK(contents(who.a + "~").empty());
}

TEST_CASE("a subsystem was moved by hand to a new drop-in: saving never makes the files contradict each other") {
  const Tenants who;
  RunningConfig running = who.start();
  limit(running, "a");
  Tenants::write_drop_in(who.a, R"({"subsystems": []})");
  const std::string moved = who.add("moved");
  Tenants::write_drop_in(moved, drop_in("a"));
  CHECK(refusal_of(running, true) ==
        "the files would have a mistake afterwards, because they were changed after the daemon had read them: " +
            moved + ":4:26: error: $.subsystems[0].nqn: the same NQN as $.subsystems[0].nqn of " + who.a +
            ":5:14; give each its own. Apply what the files have with `nvmf-p2p reload`, and repeat the change");
  CHECK(contents(moved) == drop_in("a"));
  who.reload(running);
  limit(running, "a");
  CHECK(save(running, false).files == Files{moved});
}

TEST_CASE("edited files that were applied are taken as they are, also new ones: later changes go there") {
  const Tenants who;
  RunningConfig running = who.start();
  const std::string c = who.add("c");
  config::Sources sources;
  const config::Result applied = config::load(who.file, &sources);
  running.replace(*applied.config, config::editable(sources, *applied.config));
  CHECK(running.unsaved().size() == 2);
  CHECK(save(running, false).files.empty());
  CHECK(running.unsaved().empty());
  CHECK((running.drop_ins() == Files{who.a, who.b, c}));
  limit(running, "c");
  CHECK(save(running, false).files == Files{c});
}

TEST_CASE("one of the files cannot be written: no file has changed") {
  const Tenants who;
  RunningConfig running = who.start();
  limit(running, "main");
  limit(running, "b");
  std::filesystem::create_directory(fresh_name(who.b));  // in the way of what is written beside the file
  CHECK_THROWS_AS(save(running, false), std::system_error);
  CHECK(contents(who.file) == kMainWithPort);
  CHECK(contents(who.b) == drop_in("b"));
  CHECK_FALSE(std::filesystem::exists(fresh_name(who.file)));
  CHECK(running.unsaved().size() == 2);
  std::filesystem::remove(fresh_name(who.b));
  CHECK((save(running, false).files == Files{who.file, who.b}));
}

TEST_CASE("owner, group and mode of a drop-in stay; what a killed daemon left beside it is removed") {
  const Tenants who;
  REQUIRE(chmod(who.a.c_str(), 0640) == 0);
  const bool is_root = chown(who.a.c_str(), kStranger, kStranger) == 0;
  RunningConfig running = who.start();
  limit(running, "a");
  save(running, false);
  for (const std::string& file : {who.a, who.a + "~"}) {
    struct stat status {};
    REQUIRE(stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0640);
    if (is_root) CHECK(status.st_uid == kStranger);
  }
  std::ofstream(fresh_name(who.a)) << "half";
  running.remove_leftovers();
  CHECK_FALSE(std::filesystem::exists(fresh_name(who.a)));
}

TEST_CASE("what would change if a config with drop-ins were the file: its mistakes name the drop-in") {
  const Tenants who;
  const RunningConfig running = who.start();
  config::Sources sources;
  config::read_sources(who.file, sources);
  CHECK(running.compare(sources).changes.empty());
  sources.drop_ins.pop_back();
  CHECK(
      (running.compare(sources).changes == Files{"remove namespace 1 of " + nqn("b"), "remove subsystem " + nqn("b")}));
  sources.drop_ins[0].text = "{";
  const ConfigChange mistaken = running.compare(sources);
  CHECK((mistaken.verdict == ConfigChange::Verdict::Mistaken));
  CHECK(mistaken.reasons.at(0).starts_with(who.a + ":1:"));
}

}  // namespace
}  // namespace nvmf::daemon
