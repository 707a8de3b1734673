#include "target/daemon/host_keys.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "config/parse.h"
#include "target/auth/dhchap_key.h"
#include "tests/unit/scratch.h"

namespace nvmf::daemon {
namespace {

constexpr char kNqn[] = "nqn.2026-01.io.example:a";
constexpr char kKey[] = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
constexpr char kOtherKey[] = "DHHC-1:01:CLaL/jAMKMoXgYx8Xmn+hfg/Ru5pu6fxenBJVOu4cf3z+K/D:";

std::string write_key(const Scratch& scratch, const std::string& name, const std::string& text) {
  const std::string path = scratch.path() + "/" + name;
  std::ofstream(path) << text << '\n';
  chmod(path.c_str(), 0600);
  return path;
}

config::Config config_with(const std::string& hosts) {
  const config::Result result = config::parse(
      R"({"ports": [], "subsystems": [{"nqn": ")" + std::string(kNqn) + R"(", "hosts": [)" + hosts + "]}]}", "a.json");
  REQUIRE(result.config);
  return *result.config;
}

std::string host(const std::string& name, const std::string& key_file, const std::string& more = "") {
  return R"({"nqn": "nqn.2026-01.io.example:)" + name + R"(", "key_file": ")" + key_file + '"' + more + "}";
}

TEST_CASE("hosts come with the keys of their files, and with what the config wants of them") {
  const Scratch scratch;
  const std::string key = write_key(scratch, "key", kKey);
  const std::string other = write_key(scratch, "other", kOtherKey);
  const HostKeyFiles read =
      read_host_keys(config_with(host("h", key,
                                      R"(, "controller_key_file": ")" + other +
                                          R"(", "dhchap_hash": "sha384", "dhchap_group": "null")") +
                                 ", " + host("i", other)),
                     {});
  CHECK(read.faults.empty());
  const auto& hosts = read.hosts.at(kNqn);
  REQUIRE(hosts.size() == 2);
  CHECK(core::same(*hosts[0].keys.host, *auth::DhchapKey::parse(kKey)));
  CHECK(core::same(*hosts[0].keys.controller, *auth::DhchapKey::parse(kOtherKey)));
  CHECK((hosts[0].hash == nvme::DhchapHash::Sha384));
  CHECK((hosts[0].group == nvme::DhGroup::Null));
  CHECK(hosts[1].keys.controller == nullptr);
  CHECK(!hosts[1].hash);
}

TEST_CASE("a host whose key cannot be read is there without a key, and the place in the config is named") {
  const Scratch scratch;
  const std::string key = write_key(scratch, "key", kKey);
  const HostKeyFiles read = read_host_keys(
      config_with(host("h", "/missing/key") + ", " +
                  host("i", key, R"(, "controller_key_file": "/missing/controller")") + ", " + host("j", key)),
      {});
  const auto& hosts = read.hosts.at(kNqn);
  REQUIRE(hosts.size() == 3);
  CHECK(hosts[0].keys.host == nullptr);
  CHECK(hosts[1].keys.host == nullptr);
  CHECK(hosts[2].keys.host != nullptr);
  REQUIRE(read.faults.size() == 2);
  CHECK(read.faults[0].text ==
        "a.json:1:76: host nqn.2026-01.io.example:h of subsystem nqn.2026-01.io.example:a: the key file /missing/key "
        "cannot be opened: No such file or directory");
  CHECK((read.faults[0].outcome == KeyFault::Outcome::NewEntry));
  CHECK(to_string(read.faults[0]).ends_with("; the host cannot authenticate until a reload can read the file"));
}

TEST_CASE("an entry whose file cannot be read any more keeps its keys, until the file can be read") {
  const Scratch scratch;
  const std::string key = write_key(scratch, "key", kKey);
  const std::string other = write_key(scratch, "other", kOtherKey);
  const config::Config config = config_with(host("h", key) + ", " + host("i", other));
  const HostKeyFiles first = read_host_keys(config, {});
  SUBCASE("it is gone") { std::filesystem::remove(key); }
  SUBCASE("others may read it") { chmod(key.c_str(), 0644); }
  SUBCASE("it is half written") { write_key(scratch, "key", std::string(kKey).substr(0, 30)); }
  const HostKeyFiles second = read_host_keys(config, first);
  REQUIRE(second.faults.size() == 1);
  CHECK((second.faults[0].outcome == KeyFault::Outcome::KeptKeys));
  CHECK(to_string(second.faults[0]).find("; the host goes on with the keys that were read before") !=
        std::string::npos);
  CHECK(same_hosts(first.hosts.at(kNqn), second.hosts.at(kNqn)));
  // Once more, with what it has kept.
  CHECK(same_hosts(first.hosts.at(kNqn), read_host_keys(config, second).hosts.at(kNqn)));

  write_key(scratch, "key", kOtherKey);
  const HostKeyFiles third = read_host_keys(config, second);
  CHECK(third.faults.empty());
  CHECK(core::same(*third.hosts.at(kNqn)[0].keys.host, *auth::DhchapKey::parse(kOtherKey)));
}

TEST_CASE("keys of other files, of another host or of another subsystem are nobody's former keys") {
  const Scratch scratch;
  const std::string key = write_key(scratch, "key", kKey);
  const HostKeyFiles first = read_host_keys(config_with(host("h", key)), {});
  std::filesystem::remove(key);
  config::Config config;
  SUBCASE("another file") { config = config_with(host("h", "/missing/key")); }
  SUBCASE("another host") { config = config_with(host("i", key)); }
  SUBCASE("a file with a controller key that was not there") {
    config = config_with(host("h", key, R"(, "controller_key_file": ")" + key + '"'));
  }
  SUBCASE("another subsystem") {
    config = config_with(host("h", key));
    config.subsystems[0].nqn += "other";
  }
  const HostKeyFiles second = read_host_keys(config, first);
  REQUIRE(second.faults.size() == 1);
  CHECK((second.faults[0].outcome == KeyFault::Outcome::NewEntry));
  CHECK(second.hosts.begin()->second[0].keys.host == nullptr);
  // With the next reload it is no news.
  const HostKeyFiles third = read_host_keys(config, second);
  REQUIRE(third.faults.size() == 1);
  CHECK((third.faults[0].outcome == KeyFault::Outcome::NoKeys));
  CHECK(third.hosts.begin()->second[0].keys.host == nullptr);
}

TEST_CASE("hosts are the same when their keys are, whatever their files") {
  const Scratch scratch;
  const std::string key = write_key(scratch, "key", kKey);
  const auto hosts = [](const std::string& text) { return read_host_keys(config_with(text), {}).hosts.at(kNqn); };
  const auto before = hosts(host("h", key));
  CHECK(same_hosts(before, hosts(host("h", key))));
  CHECK(same_hosts(before, hosts(host("h", write_key(scratch, "copy", kKey)))));
  CHECK_FALSE(same_hosts(before, hosts(host("i", key))));
  CHECK_FALSE(same_hosts(before, hosts(host("h", key, R"(, "dhchap_hash": "sha256")"))));
  CHECK_FALSE(same_hosts(before, hosts(host("h", key) + ", " + host("i", key))));
  write_key(scratch, "key", kOtherKey);
  CHECK_FALSE(same_hosts(before, hosts(host("h", key))));
}

}  // namespace
}  // namespace nvmf::daemon
