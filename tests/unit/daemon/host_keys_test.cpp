#include "target/daemon/host_keys.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

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
  const HostKeyFiles read = read_host_keys(config_with(
      host("h", key,
           R"(, "controller_key_file": ")" + other + R"(", "dhchap_hash": "sha384", "dhchap_group": "null")") +
      ", " + host("i", other)));
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
                  host("i", key, R"(, "controller_key_file": "/missing/controller")") + ", " + host("j", key)));
  const auto& hosts = read.hosts.at(kNqn);
  REQUIRE(hosts.size() == 3);
  CHECK(hosts[0].keys.host == nullptr);
  CHECK(hosts[1].keys.host == nullptr);
  CHECK(hosts[2].keys.host != nullptr);
  REQUIRE(read.faults.size() == 2);
  CHECK(read.faults[0] ==
        "a.json:1:76: host nqn.2026-01.io.example:h of subsystem nqn.2026-01.io.example:a: the key file /missing/key "
        "cannot be opened: No such file or directory");
}

TEST_CASE("hosts are the same when their keys are, whatever their files") {
  const Scratch scratch;
  const std::string key = write_key(scratch, "key", kKey);
  const auto hosts = [](const std::string& text) { return read_host_keys(config_with(text)).hosts.at(kNqn); };
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
