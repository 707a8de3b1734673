// The commands that talk to the daemon, from their arguments to what they print.
#include "target/daemon/cli/commands.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "target/daemon/admin_api.h"
#include "target/daemon/cli/settings.h"
#include "tests/unit/daemon/fake_daemon.h"
#include "tests/unit/daemon/http_fixture.h"

namespace nvmf::cli {
namespace {

using daemon::FakeDaemon;

// Captures the output of a stream during its life.
class Captured {
 public:
  explicit Captured(std::ostream& stream) : stream_(stream), before_(stream.rdbuf(text_.rdbuf())) {}
  ~Captured() { stream_.rdbuf(before_); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  std::string text() const { return text_.str(); }

 private:
  std::ostream& stream_;
  std::ostringstream text_;
  std::streambuf* before_;
};

struct Said {
  int status = -1;
  std::string output;
  std::string errors;
};

Said run(std::vector<std::string> arguments, const std::string& socket) {
  CLI::App app;
  const Commands commands(app);
  arguments.insert(arguments.end(), {"--socket", socket});
  std::ranges::reverse(arguments);
  app.parse(std::move(arguments));
  const Captured output(std::cout);
  const Captured errors(std::cerr);
  const int status = commands.run();
  return {status, output.text(), errors.text()};
}

struct World {
  FakeDaemon daemon;
  daemon::Served served{daemon::admin_routes(daemon)};

  Said run(const std::vector<std::string>& arguments) const { return cli::run(arguments, served.path()); }
};

bool says(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

TEST_CASE("operator looks: tables for people, JSON for scripts") {
  const World world;
  const Said status = world.run({"status"});
  CHECK(status.status == 0);
  CHECK(says(status.output, "nvmf-p2p 0.1.0, up 1 d 2 h\n"));
  CHECK(says(status.output, "   1  192.0.2.10     4420  listening\n"));
  CHECK(says(status.output, "RNIC  rocep1s0: 4 of at most 81 I/O queues\n"));
  CHECK(nlohmann::json::parse(world.run({"status", "--json"}).output).at("controllers") == 1);
  CHECK(says(world.run({"subsystems"}).output, FakeDaemon::kNqn));
  const std::string namespaces = world.run({"namespaces"}).output;
  CHECK(says(namespaces, "1.50 GiB"));
  CHECK(says(namespaces, "100 MiB/s"));
  CHECK(says(namespaces, "cannot open /dev/ng7n1"));
  CHECK(says(namespaces, "data goes through DRAM: no CMB\n"));
  const std::string connections = world.run({"connections"}).output;
  CHECK(says(connections, FakeDaemon::kHost));
  CHECK(says(connections, "mlx5_0  4096  no: no CMB\n"));
  const std::string p2p = world.run({"p2p"}).output;
  CHECK(says(p2p, "SSD 0000:3b:00.0: CMB of 64 MiB\n"));
  CHECK(says(p2p, "whole pages from MTU 4096"));
  CHECK(says(p2p, "256 KiB of 1 MiB"));
  CHECK(says(p2p, "mlx5_0: whole pages come through\n"));
  CHECK(says(world.run({"stats"}).output, "3 commands found the host's share of a buffer pool used up"));
  CHECK(says(world.run({"ana"}).output, "1     1  optimized\n"));
}

TEST_CASE("a host's name cannot control the terminal, in tables or in JSON") {
  World world;
  world.daemon.host = "nqn.a\x1b]0;title\x07\xc2\x9b\nb";
  const std::string table = world.run({"connections"}).output;
  CHECK(says(table, R"(nqn.a\x1b]0;title\x07\u009b\x0ab)"));
  for (const std::string& output : {table, world.run({"connections", "--json"}).output})
    for (const char* control : {"\x1b", "\x07", "\xc2\x9b"}) CHECK_FALSE(says(output, control));
}

TEST_CASE("operator changes what runs: the changes are told; save keeps them") {
  World world;
  CHECK(world.run({"add", "port", "id=2", "address=192.0.2.11"}).output ==
        "add port 2 (192.0.2.11, service 4420)\nchange subsystem nqn.2026-01.io.example:disks/1: ports with 2\n");
  CHECK(world.run({"add", "namespace", FakeDaemon::kNqn, "memory=4097"}).status == 2);
  CHECK(world.run({"add", "namespace", FakeDaemon::kNqn, "memory=4096"}).output ==
        "add namespace 3 of nqn.2026-01.io.example:disks/1\n");
  CHECK(world.run({"set", "namespace", FakeDaemon::kNqn, "3", "max_iops=10"}).status == 0);
  CHECK(world.run({"add", "host", FakeDaemon::kNqn, "nqn.2026-01.io.example:host"}).status == 0);
  CHECK(world.run({"remove", "host", FakeDaemon::kNqn, "nqn.2026-01.io.example:host"}).status == 0);
  CHECK(world.run({"set", "subsystem", FakeDaemon::kNqn, "max_controllers=8"}).status == 0);
  CHECK(world.run({"set", "config", "shutdown_timeout_ms=7"}).output == "change shutdown_timeout_ms from 30000 to 7\n");
  CHECK(world.run({"set", "port", "2", "service=4421"}).status == 0);
  CHECK(world.run({"remove", "port", "2"}).status == 0);
  CHECK(world.run({"remove", "namespace", FakeDaemon::kNqn, "3"}).status == 0);
  CHECK(world.run({"log-level", "debug"}).output == "change log_level from \"info\" to \"debug\"\n");
  CHECK(world.run({"add", "subsystem", "nqn.2026-01.io.example:new", "allow_any_host=true"}).status == 0);
  CHECK(world.run({"remove", "subsystem", "nqn.2026-01.io.example:new"}).status == 0);
  CHECK(world.daemon.running_config().at("shutdown_timeout_ms") == 7);
  CHECK(world.run({"save"}).output == "saved /etc/nvmf-p2p/config.json\n");
  CHECK(world.daemon.unsaved.empty());
  world.daemon.edited = true;
  CHECK(world.run({"save"}).status == 1);
  CHECK(world.run({"save", "--force"}).status == 0);
}

TEST_CASE("operator asks for what cannot be: the reason is on standard error, the status says of which kind it is") {
  World world;
  const Said mistaken = world.run({"set", "subsystem", FakeDaemon::kNqn, "max_controlers=8"});
  CHECK(mistaken.status == 2);
  CHECK(mistaken.output.empty());
  CHECK(says(mistaken.errors, "did you mean \"max_controllers\"?"));
  const Said restart = world.run({"set", "config", "reactors.count=2"});
  CHECK(restart.status == 1);
  CHECK(says(restart.errors, "\"reactors\" takes effect only after a restart\n"));
  CHECK(world.run({"disconnect", "nobody"}).status == 1);
  CHECK(world.run({"set", "config", "novalue"}).status == 2);
  CHECK(world.run({"diff", "/nonexistent"}).errors ==
        "cannot read /nonexistent: No such file or directory; check the name of the config file\n");
  const Said refused = world.run({"drain", "9", "--json"});
  CHECK(refused.status == 1);
  CHECK(nlohmann::json::parse(refused.output).at("error") == "there is no port 9");
}

TEST_CASE("operator compares and reloads") {
  World world;
  const Scratch scratch;
  const std::string file = scratch.path() + "/new.json";
  std::ofstream(file) << FakeDaemon::kText;
  CHECK(world.run({"diff", file}).output == "no difference\n");
  std::ofstream(file) << "{";
  const Said mistaken = world.run({"diff", file});
  CHECK(mistaken.status == 2);
  CHECK(says(mistaken.errors, file + ":1:"));
  CHECK(world.run({"reload"}).output == "no difference\n");
  CHECK_FALSE(world.daemon.reload_was_forced);
  CHECK(world.run({"reload", "--force"}).status == 0);
  CHECK(world.daemon.reload_was_forced);
}

TEST_CASE(
    "script compares and applies: the exit status tells whether there is a difference, a repetition changes none") {
  World world;
  const Scratch scratch;
  const std::string file = scratch.path() + "/new.json";
  std::ofstream(file) << FakeDaemon::kText;
  CHECK(world.run({"diff", file, "--exit-code"}).status == 0);
  CHECK(world.run({"apply", file}).output == "no difference\n");
  std::string text = FakeDaemon::kText;
  text.replace(text.find("2MiB"), 4, "3MiB");
  std::ofstream(file, std::ios::trunc) << text;
  CHECK(world.run({"diff", file, "--exit-code"}).status == 3);
  CHECK(world.run({"diff", file}).status == 0);
  CHECK(says(world.run({"apply", file}).output, "replace namespace 2 of "));
  CHECK(world.run({"diff", file, "--exit-code"}).status == 0);
  CHECK(world.run({"apply", file}).output == "no difference\n");
  std::ofstream(file, std::ios::trunc) << "{";
  CHECK(world.run({"apply", file}).status == 2);
}

TEST_CASE("operator compares and applies a file that has drop-ins beside it: they are a part of the config") {
  World world;
  const Scratch scratch;
  const std::string file = scratch.path() + "/config.json";
  const std::string drop_in = scratch.path() + "/conf.d/a.json";
  std::filesystem::create_directory(scratch.path() + "/conf.d");
  std::ofstream(file) << FakeDaemon::kText;
  std::ofstream(drop_in) << R"({"subsystems": [{"nqn": "nqn.2026-01.io.example:b", "allow_any_host": true}]})";
  CHECK(says(world.run({"diff", file}).output, "add subsystem nqn.2026-01.io.example:b\n"));
  CHECK(says(world.run({"apply", file}).output, "add subsystem nqn.2026-01.io.example:b\n"));
  CHECK(says(world.run({"apply", file}).output, "no difference\n"));
  std::ofstream(drop_in) << "{";
  const Said mistaken = world.run({"apply", file});
  CHECK(mistaken.status == 2);
  CHECK(says(mistaken.errors, drop_in + ":1:"));
  std::ofstream(drop_in) << "\xff";
  const Said not_text = world.run({"apply", file});
  CHECK(not_text.status == 2);
  CHECK(not_text.errors ==
        file + " or one of its drop-ins is not UTF-8 text: `nvmf-p2p check " + file + "` says where\n");
  std::filesystem::remove(drop_in);
  std::filesystem::create_directory(drop_in);
  const Said unreadable = world.run({"apply", file});
  CHECK(unreadable.status == 2);
  CHECK(unreadable.errors ==
        "cannot read " + drop_in + ": Is a directory; remove it, or give it a name that does not end in .json\n");
}

TEST_CASE("operator saves: each file is named, and those that were left") {
  World world;
  world.daemon.saved.files = {"/etc/nvmf-p2p/conf.d/a.json", "/etc/nvmf-p2p/config.json"};
  world.daemon.saved.left = {"/etc/nvmf-p2p/conf.d/b.json"};
  CHECK(world.run({"save"}).output ==
        "saved /etc/nvmf-p2p/conf.d/a.json\nsaved /etc/nvmf-p2p/config.json\n/etc/nvmf-p2p/conf.d/b.json was changed "
        "after the daemon had read it, and stays as it is: no unsaved change belongs to it\n");
  world.daemon.saved.not_given = {"/etc/nvmf-p2p/config.json"};
  CHECK(says(world.run({"save"}).output, "/etc/nvmf-p2p/config.json belongs to the daemon's user now"));
  world.daemon.saved = {.file = "/etc/nvmf-p2p/config.json"};
  CHECK(world.run({"save"}).output == "nothing to save: no change is unsaved\n");
  CHECK(nlohmann::json::parse(world.run({"save", "--json"}).output).at("files").empty());
}

TEST_CASE("operator looks: the status tells how many drop-ins the config has") {
  World world;
  CHECK(says(world.run({"status"}).output, "config       /etc/nvmf-p2p/config.json\n"));
  world.daemon.drop_ins = {"/etc/nvmf-p2p/conf.d/a.json"};
  CHECK(says(world.run({"status"}).output, "config       /etc/nvmf-p2p/config.json and 1 drop-in\n"));
}

TEST_CASE("monitor asks: the exit status tells of faults, and of a target that no host can reach") {
  World world;
  CHECK(world.run({"status", "--exit-code"}).status == 0);
  world.daemon.faults =
      FakeDaemon::Json::array({{{"what", "Namespace 1 is not served."}, {"remedy", "Connect the device."}}});
  CHECK(world.run({"status"}).status == 0);
  CHECK(world.run({"status", "--exit-code"}).status == 3);
  world.daemon.faults.clear();
  world.daemon.unready = {"port 1 is drained", "port 2 is drained"};
  const Said drained = world.run({"status", "--exit-code"});
  CHECK(drained.status == 3);
  CHECK(says(drained.output, "ready        no, hosts cannot connect: port 1 is drained, and 1 more\n"));
  world.daemon.unready.resize(1);
  world.daemon.last_reload = {{"succeeded", true}, {"time_ms", 1'764'500'000'000}};
  CHECK_FALSE(says(world.run({"status"}).output, "reload"));
  world.daemon.last_reload["succeeded"] = false;
  const Said refused = world.run({"status"});
  CHECK(says(refused.output, "reload       the last one was refused"));
  CHECK(says(refused.output, "nvmf-p2p check /etc/nvmf-p2p/config.json reports its mistakes"));
}

TEST_CASE("operator looks at a port that waits: told why") {
  World world;
  CHECK(says(world.run({"status"}).output, "ready        yes\n"));
  world.daemon.port_reason = "no interface has the address 192.0.2.10";
  CHECK(says(world.run({"status"}).output, "port 1: no interface has the address 192.0.2.10\n"));
}

TEST_CASE("operator looks: identifiers that could not be saved are named with the cause") {
  World world;
  CHECK_FALSE(says(world.run({"status"}).output, "not saved"));
  world.daemon.unsaved_identifiers = {"namespace 1 of nqn.a: cannot write /var/lib/nvmf-p2p: No space left on device"};
  world.daemon.state_dir_fault = "cannot write /var/lib/nvmf-p2p/trial: No space left on device";
  CHECK(says(world.run({"status"}).output, "not saved    namespace 1 of nqn.a: cannot write"));
  CHECK(says(world.run({"status"}).output, "state_dir    cannot be written: cannot write /var/lib/nvmf-p2p/trial"));
}

TEST_CASE("operator looks: key files that cannot be read are named") {
  World world;
  CHECK_FALSE(says(world.run({"status"}).output, "key file"));
  world.daemon.unreadable_keys = {"a.json:1:1: host nqn.h of subsystem nqn.a: the key file /k cannot be opened"};
  CHECK(says(world.run({"status"}).output, "key file     a.json:1:1: host nqn.h of subsystem nqn.a: the key file /k"));
}

TEST_CASE("operator looks at a port on all addresses: told on which it listens") {
  World world;
  CHECK_FALSE(says(world.run({"status"}).output, "listening on"));
  world.daemon.port_address = "0.0.0.0";
  CHECK(says(world.run({"status"}).output, "port 1: listening on 192.0.2.10, 192.0.2.11\n"));
}

TEST_CASE("operator looks at reservations and write protection, and ends what a dead host left behind") {
  World world;
  const Said listed = world.run({"reservations"});
  CHECK(says(listed.output, "write-exclusive"));
  CHECK(says(listed.output, "0xa11ce"));
  CHECK(says(listed.output, std::string(FakeDaemon::kHost) + " (not connected)"));
  CHECK(world.run({"reservations", FakeDaemon::kNqn, "2"}).output == "no host is registered on a namespace\n");
  const Said slip = world.run({"reservations", FakeDaemon::kNqn, "9"});
  CHECK(slip.status == 1);
  CHECK(slip.errors == "there is no namespace 9 of " + std::string(FakeDaemon::kNqn) + "\n");
  CHECK(world.run({"write-protection", "nqn.2026-01.io.example:none"}).errors ==
        "there is no subsystem nqn.2026-01.io.example:none\n");
  CHECK(nlohmann::json::parse(world.run({"reservations", FakeDaemon::kNqn, "1", "--json"}).output).size() == 1);

  const Said unforced = world.run({"reservations", "clear", FakeDaemon::kNqn, "1"});
  CHECK(unforced.status == 1);
  CHECK(says(unforced.errors, "repeat with force=true (nvmf-p2p: --force)"));
  CHECK(world.daemon.is_reserved);
  CHECK(world.run({"reservations", "clear", FakeDaemon::kNqn, "1", "--force"}).output ==
        "clear the reservation on namespace 1\n");
  CHECK(world.run({"reservations", "clear", FakeDaemon::kNqn, "1", "--force"}).status == 1);

  const Said protection = world.run({"write-protection"});
  CHECK(says(protection.output, "protected  no\n"));
  CHECK(says(protection.output, "none       read_only\n"));
  CHECK(world.run({"write-protection", "clear", FakeDaemon::kNqn, "1"}).output ==
        "clear the write protection of namespace 1\n");
  CHECK(world.run({"write-protection", "clear", FakeDaemon::kNqn, "2"}).status == 1);
}

TEST_CASE("operator follows events: what the daemon remembers, and what happens, until the stream ends") {
  World world;
  CHECK(world.run({"drain", "1"}).status == 0);
  std::atomic<bool> over = false;
  // So many events that they go round the daemon's ring, until the follower is there and is cut.
  std::thread storm([&] {
    const std::string path = "/v1/hosts/" + percent_encoded(FakeDaemon::kHost) + "/disconnect";
    while (!over) Client(world.served.path()).ask("POST", path);
  });
  const Said followed = world.run({"events", "--past"});
  const Said as_json = world.run({"events", "--json"});
  over = true;
  storm.join();
  CHECK(followed.status == 1);
  CHECK(says(followed.output, "disconnect  a host has left\n"));
  CHECK(says(followed.output, "cut  warning: this client is too slow"));
  CHECK(says(followed.errors, "the daemon has ended the stream of events\n"));
  std::istringstream lines(as_json.output);
  std::string last;
  for (std::string line; std::getline(lines, line);) last = line;
  CHECK(nlohmann::json::parse(last).at("kind") == "cut");
}

TEST_CASE("operator adds without a key: told what keys there are") {
  const World world;
  const Said said = world.run({"add", "namespace", FakeDaemon::kNqn});
  CHECK(said.status == 2);
  CHECK(says(said.errors, "give at least one key of the config file as KEY=VALUE: nvmf-p2p add namespace NQN"));
  CHECK(says(world.run({"add", "subsystem", "nqn=nqn.a"}).errors, "nvmf-p2p add subsystem NQN allow_any_host=true"));
  CHECK(world.run({"add", "port", "3", "address=192.0.2.3"}).errors ==
        "\"3\" is not of the form KEY=VALUE: write id=3\n");
}

TEST_CASE("operator gives what is no text, or a number out of its range: told which, and nothing is asked") {
  const World world;
  const Said file = world.run({"add", "namespace", FakeDaemon::kNqn, "file=/tmp/\xff"});
  CHECK(file.status == 2);
  CHECK(file.errors == "file is not valid UTF-8\n");
  CHECK(world.run({"ana", "nqn.\xff", "1", "1", "change"}).errors == "the NQN is not valid UTF-8\n");
  CHECK_THROWS_WITH_AS(world.run({"remove", "namespace", FakeDaemon::kNqn, "99999999999"}),
                       "nsid: \"99999999999\" is not from 1 to 1024", CLI::ParseError);
  CHECK_THROWS_WITH_AS(world.run({"apply", ""}), "file: the name of the file is empty", CLI::ParseError);
}

TEST_CASE("another program answers on the socket: told what its answer lacks") {
  daemon::HttpRoutes routes;
  routes.add("GET", "/v1/status", [](const daemon::HttpRequest&) { return daemon::HttpResponse{.body = "{}"}; });
  const daemon::Served served(std::move(routes));
  const Said said = run({"status"}, served.path());
  CHECK(said.status == 1);
  CHECK(said.errors == "what answers on " + served.path() +
                           " is not nvmf-p2p, or another version of it: \"faults\" is missing in its answer\n");
}

TEST_CASE("operator upgrades: what is served before and after, or why the daemon goes on") {
  World world;
  const Said done = world.run({"upgrade"});
  CHECK(done.status == 0);
  CHECK(says(done.output, "version 0.1.0 serves 2 namespaces on 1 port,"));
  CHECK(says(done.output, "version 0.2.0 takes over"));
  CHECK(world.daemon.done == "hand over");

  world.daemon.needs_force = {"namespace 1 is in memory"};
  const Said refused = world.run({"upgrade"});
  CHECK(refused.status == kExitFailed);
  CHECK(says(refused.errors, "namespace 1 is in memory\nrefused, the daemon goes on serving"));
  const Said forced = world.run({"upgrade", "--force"});
  CHECK(forced.status == 0);
  CHECK(says(forced.output, "namespace 1 is in memory: its data is lost"));

  world.daemon.needs_force.clear();
  world.daemon.failure_of_upgrade = "version 0.2.0 could not start: no io_uring";
  const Said failed = world.run({"upgrade"});
  CHECK(failed.status == kExitFailed);
  CHECK(says(failed.errors, "the upgrade failed, and version 0.1.0 serves again: version 0.2.0 could not start"));
  CHECK(says(world.run({"status"}).output, "upgrade      failed: version 0.2.0 could not start"));
}

TEST_CASE("operator drains, resumes, disconnects, sets ANA states") {
  World world;
  CHECK(world.run({"resume", "1"}).output == "port 1 was not drained; nothing has changed\n");
  CHECK(world.run({"drain", "1"}).output == "port 1: draining: hosts are being disconnected, and none may connect\n");
  CHECK(world.daemon.done == "drain 1");
  CHECK(world.run({"drain", "--all"}).output == "every port is drained already; nothing has changed\n");
  CHECK(world.run({"resume", "--all"}).output == "port 1: hosts may connect again\n");
  CHECK(world.daemon.done == "resume all");
  CHECK(world.run({"resume", "--all"}).output == "no port was drained; nothing has changed\n");
  CHECK(world.run({"drain", "1"}).status == 0);
  world.daemon.port_reason = "its RNIC is gone";
  CHECK(world.run({"resume", "1"}).output == "port 1: resumed, and waits: its RNIC is gone\n");
  CHECK(world.run({"disconnect", FakeDaemon::kHost}).output == "disconnected\n");
  world.daemon.has_host_without_nqn = true;
  CHECK(world.run({"disconnect", ""}).output == "disconnected\n");
  CHECK(world.run({"ana", FakeDaemon::kNqn, "1", "1", "inaccessible"}).output ==
        "ANA group 1 of " + std::string(FakeDaemon::kNqn) +
            " is inaccessible on port 1 until the next reload or restart\n");
  CHECK(world.daemon.done == "ana inaccessible");
}

TEST_CASE("operator looks at one CMB, and has its self-test repeated") {
  World world;
  CHECK(says(world.run({"p2p", "0000:3b:00.0"}).output, "SSD 0000:3b:00.0: CMB of 64 MiB\n"));
  const Said unknown = world.run({"p2p", "0000:3c:00.0"});
  CHECK(unknown.status == 1);
  CHECK(unknown.errors == "no namespace is configured to use the CMB of an SSD at 0000:3c:00.0\n");
  CHECK(world.daemon.done.empty());

  CHECK(says(world.run({"p2p", "--prove", "0000:3b:00.0"}).output, "mlx5_0: whole pages come through\n"));
  CHECK(world.daemon.done == "prove 0000:3b:00.0");
  for (const std::vector<std::string>& all : {std::vector<std::string>{"p2p", "--prove"}, {"p2p", "--prove", "all"}}) {
    CHECK(says(world.run(all).output, "SSD 0000:3b:00.0"));
    CHECK(world.daemon.done == "prove ");
  }
  CHECK(world.run({"p2p", "--prove", "3b:00.0"}).status == 1);
}

TEST_CASE("operator names no port, or none that can be: wrong usage, and every port stays as it is") {
  World world;
  for (const char* command : {"drain", "resume"}) {
    CHECK(world.run({command}).status == 2);
    CHECK_THROWS_AS(world.run({command, "0"}), CLI::ParseError);
    CHECK_THROWS_AS(world.run({command, "65536"}), CLI::ParseError);
    CHECK_THROWS_AS(world.run({command, "1", "--all"}), CLI::ParseError);
  }
  CHECK(world.daemon.done.empty());
}

TEST_CASE("operator accepts the storage of a namespace") {
  World world;
  CHECK(world.run({"accept", FakeDaemon::kNqn, "2"}).output == "accept the storage of namespace 2\n");
  CHECK(world.run({"accept", FakeDaemon::kNqn, "1"}).status != 0);
}

TEST_CASE("no daemon serves: the message names the socket and what to do") {
  const Scratch scratch;
  const std::string socket = scratch.path() + "/admin.sock";
  const Said said = run({"status"}, socket);
  CHECK(said.status == 1);
  CHECK(said.errors == "cannot reach the daemon on " + socket +
                           ": No such file or directory; no daemon listens there: start one (nvmf-p2p run -c FILE), or "
                           "give its socket with --socket\n");
  CHECK(run({"status"}, "/" + std::string(108, 's')).status == 1);
}

TEST_CASE("settings: JSON where it is JSON, else text; dots lead into objects") {
  CHECK(object_from({"a=1", "b=text", "c=[1, 2]", "d.e=true", "d.f=null", "g="}) ==
        Json::parse(R"({"a": 1, "b": "text", "c": [1, 2], "d": {"e": true, "f": null}, "g": ""})"));
  CHECK_THROWS_AS(object_from({"=1"}), std::invalid_argument);
  CHECK_THROWS_AS(object_from({"a=1", "a.b=2"}), std::invalid_argument);
}

}  // namespace
}  // namespace nvmf::cli
