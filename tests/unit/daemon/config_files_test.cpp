// `save` to a config file and its drop-ins: each change goes to the file that it belongs to, and all files or none
// change.
#include "target/daemon/config_files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "config/parse.h"
#include "target/daemon/durable_file.h"
#include "target/daemon/file_lock.h"
#include "target/daemon/save_journal.h"
#include "tests/unit/daemon/running_config_support.h"
#include "tests/unit/daemon/state_support.h"

namespace nvmf::daemon {
namespace {

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
  bool is_new() const { return contents(path) == after; }
  void restore() const {
    std::ofstream(path, std::ios::trunc) << before;
    std::filesystem::remove(path + "~");
  }
};

void save_main_and_a(const Tenants& who, const DurableHook& hook) {
  RunningConfig running = who.start(hook);
  limit(running, "main");
  limit(running, "a");
  save(running, false);
}

TEST_CASE("save is killed before any of its steps: each file is the old one or the new one, its owner and mode stay") {
  const Tenants who;
  std::vector<Watched> files = {{.path = who.file, .before = kMainWithPort}, {.path = who.a, .before = drop_in("a")}};
  const auto save_both = [&](const DurableHook& hook) { save_main_and_a(who, hook); };
  save_both({});
  for (Watched& file : files) {
    file.after = contents(file.path);
    file.restore();
    file.begin(file.path == who.file ? 0640 : 0604);
  }
  const int steps = test::kill_before_each_step(save_both, [&](int step, bool came_through) {
    for (const Watched& file : files) file.check(came_through);
    undo_before_reading(who.file);
    CHECK(files[0].is_new() == files[1].is_new());
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

// A save of the config file and the drop-in "a" that was killed when it had replaced the config file only.
struct Interrupted : Tenants {
  std::string journal = journal_of(file, true);

  Interrupted() { interrupt(); }
  void interrupt() const {
    int renames = 0;
    const DurableHook kill = [&](DurableStep step) {
      if (step == DurableStep::Rename && ++renames == 5) raise(SIGKILL);  // two copies, the journal, the config file
    };
    REQUIRE(test::in_a_process([&] { save_main_and_a(*this, kill); }) == -SIGKILL);
    REQUIRE(contents(file) != kMainWithPort);
    REQUIRE(contents(a) == drop_in("a"));
    REQUIRE(is_save_interrupted(file));
  }
};

TEST_CASE("a save was interrupted between two files: the next start gives the first what it had, and says so") {
  const Interrupted who;
  const std::vector<std::string> said = undo_before_reading(who.file);
  REQUIRE(said.size() == 2);
  CHECK(said[0] == "a save of the config was interrupted before it had replaced all files: " + who.file +
                       " has again what it had before the save");
  CHECK(said[1].ends_with(who.a + " is as it was before the save"));
  CHECK(contents(who.file) == kMainWithPort);
  CHECK(contents(who.a) == drop_in("a"));
  CHECK_FALSE(is_save_interrupted(who.file));
  CHECK(undo_before_reading(who.file).empty());
  CHECK(hidden_files_in(who.scratch.path()).empty());
}

// The one sentence of an undoing that is refused; then the files are as the save left them.
std::string refusal_to_undo(const Interrupted& who) {
  const std::string file = contents(who.file);
  const std::vector<std::string> said = undo_before_reading(who.file);
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("could not be put back: " + who.journal) != std::string::npos);
  CHECK(said[0].ends_with("look at the files of the config, and remove the journal"));
  CHECK(contents(who.file) == file);
  CHECK(is_save_interrupted(who.file));
  return said[0];
}

TEST_CASE("a journal that somebody else has put beside the config is not trusted, and named") {
  const Interrupted who;
  if (chown(who.journal.c_str(), 65534, 65534) != 0) {
    MESSAGE("skipped: only root may give files away");
    return;
  }
  CHECK(refusal_to_undo(who).find("belongs to the user 65534") != std::string::npos);
}

TEST_CASE("a link or a FIFO in the place of the journal is not followed or waited for") {
  const Interrupted who;
  const std::string elsewhere = who.scratch.path() + "/elsewhere";
  std::filesystem::rename(who.journal, elsewhere);
  std::filesystem::create_symlink(elsewhere, who.journal);
  CHECK(refusal_to_undo(who).find("is no regular file") != std::string::npos);
  std::filesystem::remove(who.journal);
  REQUIRE(mkfifo(who.journal.c_str(), 0600) == 0);
  CHECK(refusal_to_undo(who).find("is no regular file") != std::string::npos);
}

TEST_CASE("a link beside the drop-ins that leads nowhere has nothing to do with a save") {
  const Interrupted who;
  const std::string link = config::drop_in_directory(who.file) + "/x.json";
  std::filesystem::create_symlink(link, link);
  const std::vector<std::string> said = undo_before_reading(who.file);
  REQUIRE(!said.empty());
  CHECK(said.front().find("could not be put back") == std::string::npos);
  CHECK(undo_before_reading(who.file).empty());
}

TEST_CASE("a journal that names a file which is not one of the config touches none of its files") {
  const Interrupted who;
  const std::string other = who.scratch.path() + "/other.json";
  const std::string neighbour = config::drop_in_directory(who.file) + "/../other.json";
  for (const std::string& path : {other, neighbour, config::drop_in_directory(who.file) + "/note.txt"}) {
    CAPTURE(path);
    std::ofstream(path) << "mine";
    std::ofstream(who.journal) << R"({"files":[{"path":")" + path + R"(","before":null,"after":"x"}]})";
    CHECK(refusal_to_undo(who).find("names " + path) != std::string::npos);
    CHECK(contents(path) == "mine");
  }
}

TEST_CASE("what is in the place of a journal and is none is named with its fault") {
  const Interrupted who;
  std::ofstream(who.journal) << std::string(1000, '[');
  CHECK(refusal_to_undo(who).find("is nested deeper than 32") != std::string::npos);
  std::ofstream(who.journal) << "{}";
  CHECK(refusal_to_undo(who).find("is not what a save writes") != std::string::npos);
}

TEST_CASE("the undoing of a save is killed before any of its steps: the next one goes on with it") {
  const Interrupted who;
  const auto undo = [&](const DurableHook& hook) { undo_interrupted_save(who.file, hook); };
  const int steps = test::kill_before_each_step(undo, [&](int, bool came_through) {
    undo_before_reading(who.file);
    CHECK(contents(who.file) == kMainWithPort);
    CHECK(contents(who.a) == drop_in("a"));
    CHECK(hidden_files_in(who.scratch.path()).empty());
    if (!came_through) who.interrupt();
  });
  CHECK(steps > 6);
}

TEST_CASE("a save was interrupted, and the operator has mended the files by hand: they stay") {
  const Interrupted who;
  const std::string mended = contents(who.file) + "// by hand\n";
  who.write(mended);
  const std::vector<std::string> said = undo_before_reading(who.file);
  REQUIRE(said.size() == 2);
  CHECK(said[0].ends_with(who.file + " was edited since, or its copy was, and stays as it is; check the config"));
  CHECK(contents(who.file) == mended);
  CHECK(contents(who.a) == drop_in("a"));
  CHECK_FALSE(is_save_interrupted(who.file));
}

TEST_CASE("a save was interrupted that had made a drop-in anew which was gone: it is gone again") {
  const Tenants who;
  int renames = 0;
  const DurableHook kill = [&](DurableStep step) {
    if (step == DurableStep::Rename && ++renames == 4) raise(SIGKILL);  // the copy of "b", the journal, "a"
  };
  const int ended = test::in_a_process([&] {
    RunningConfig running = who.start(kill);
    std::filesystem::remove(who.a);
    limit(running, "a");
    limit(running, "b");
    save(running, true);
  });
  REQUIRE(ended == -SIGKILL);
  REQUIRE(std::filesystem::exists(who.a));
  CHECK(undo_before_reading(who.file).size() == 2);
  CHECK_FALSE(std::filesystem::exists(who.a));
  CHECK(contents(who.b) == drop_in("b"));
}

TEST_CASE("any step of a save to two files fails: both have their old content, and the next save writes both") {
  const Tenants who;
  test::fail_each_step(
      [&](const DurableHook& hook) {
        RunningConfig running = who.start(hook);
        limit(running, "main");
        limit(running, "a");
        try {
          save(running, false);
          return true;
        } catch (const std::runtime_error&) {
          CHECK(running.unsaved().size() == 2);
          return false;
        }
      },
      [&](int, bool succeeded) {
        const bool is_old = contents(who.file) == kMainWithPort;
        CHECK(is_old == (contents(who.a) == drop_in("a")));
        if (succeeded) CHECK_FALSE(is_old);
        CHECK_FALSE(is_save_interrupted(who.file));
        CHECK(hidden_files_in(who.scratch.path()).empty());
        who.write(kMainWithPort);
        Tenants::write_drop_in(who.a, drop_in("a"));
      });
}

TEST_CASE("a save fails between two files and cannot be undone at once: the next save does so first") {
  const Tenants who;
  int renames = 0;
  bool fails = true;
  RunningConfig running = who.start([&](DurableStep step) {
    if (!fails || step != DurableStep::Rename || ++renames != 5) return;
    std::filesystem::create_directory(fresh_name(who.file));  // in the way of what undoing writes
    throw std::runtime_error("Input/output error");
  });
  limit(running, "main");
  limit(running, "a");
  CHECK_THROWS_AS(save(running, false), std::runtime_error);
  CHECK(is_save_interrupted(who.file));
  CHECK(contents(who.file) != kMainWithPort);
  fails = false;
  CHECK_THROWS(save(running, false));  // still in the way
  std::filesystem::remove(fresh_name(who.file));
  CHECK((save(running, false).files == Files{who.file, who.a}));
  CHECK(contents(who.file + "~") == kMainWithPort);
  CHECK_FALSE(is_save_interrupted(who.file));
}

TEST_CASE("another daemon is saving to the same files: its save is not undone") {
  const Interrupted who;
  const FileLock saving(who.journal);
  CHECK_THROWS_AS(undo_interrupted_save(who.file), std::runtime_error);
  CHECK(is_save_interrupted(who.file));
  const std::vector<std::string> said = undo_before_reading(who.file);
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("could not be put back: " + who.journal + " is in use by process") != std::string::npos);
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

TEST_CASE("the config file is gone: told how to write it, and not to compare with what is not there") {
  const Tenants who;
  RunningConfig running = who.start();
  limit(running, "main");
  std::filesystem::remove(who.file);
  CHECK(refusal_of(running) ==
        "there is no " + who.file + " any more; saving would undo that. Write what runs with `nvmf-p2p save --force`");
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
  CHECK_THROWS_WITH_AS(
      save(running, false),
      doctest::Contains((who.b + " cannot be written: File exists; no config file has changed: ").c_str()),
      std::runtime_error);
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
