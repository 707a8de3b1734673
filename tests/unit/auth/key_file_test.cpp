#include "target/auth/key_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/unit/scratch.h"

namespace nvmf::auth {
namespace {

constexpr char kKey[] = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";

std::string file_in(const Scratch& scratch, const std::string& name, const std::string& content, mode_t mode) {
  const std::string path = scratch.path() + "/" + name;
  std::ofstream(path) << content;
  REQUIRE(chmod(path.c_str(), mode) == 0);
  return path;
}

std::string fault_of(const std::string& path) {
  try {
    read_key_file(path);
  } catch (const KeyFileError& error) {
    return error.what();
  }
  return "none";
}

// The environment's variable during its life.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST_CASE("a key file is read") {
  const Scratch scratch;
  CHECK(read_key_file(file_in(scratch, "key", std::string(kKey) + "\n", 0600))->length_bytes() == 32);
  CHECK(read_key_file(file_in(scratch, "read-only", kKey, 0400))->length_bytes() == 32);
}

TEST_CASE("a key file that others may use is refused, with the remedy") {
  const Scratch scratch;
  for (const mode_t mode : {0640, 0604, 0620, 0601, 0660}) {
    const std::string path = file_in(scratch, "key", kKey, mode);
    const std::string fault = fault_of(path);
    CHECK_MESSAGE(fault.find("chmod 600 " + path) != std::string::npos, fault);
    chmod(path.c_str(), 0600);
  }
}

TEST_CASE("what is no key file is refused by its name, without its content") {
  const Scratch scratch;
  CHECK(fault_of(scratch.path() + "/missing").find("/missing cannot be opened: No such file") != std::string::npos);
  CHECK(fault_of(scratch.path() + "/.").find("not a regular file") != std::string::npos);
  CHECK(fault_of("/dev/null").find("not a regular file") != std::string::npos);
  CHECK(fault_of(file_in(scratch, "long", std::string(5000, 'x'), 0600)).find("too long") != std::string::npos);
  const std::string fault = fault_of(file_in(scratch, "odd", "hunter2", 0600));
  CHECK(fault.find("/odd: the key does not begin with DHHC-1:") != std::string::npos);
  CHECK(fault.find("hunter2") == std::string::npos);
}

TEST_CASE("a name without a slash is a credential of the service manager") {
  const Scratch scratch;
  file_in(scratch, "disk1.host", kKey, 0440);
  CHECK(fault_of("disk1.host").find("LoadCredential=") != std::string::npos);
  const Variable directory("CREDENTIALS_DIRECTORY", scratch.path());
  CHECK(read_key_file("disk1.host")->length_bytes() == 32);
  CHECK(fault_of("other").find("/other cannot be opened") != std::string::npos);
}

TEST_CASE(
    "a credential has the modes that systemd gives it, by its name and by its path; with looser ones it is refused") {
  const Scratch scratch;
  const Variable directory("CREDENTIALS_DIRECTORY", scratch.path());
  for (const mode_t mode : {0400, 0440, 0600}) {
    const std::string path = file_in(scratch, "disk1.host", kKey, mode);
    CHECK(fault_of("disk1.host") == "none");
    CHECK(fault_of(path) == "none");
    chmod(path.c_str(), 0600);
  }
  for (const mode_t mode : {0444, 0460, 0640 | 0004, 0450, 0402}) {
    const std::string path = file_in(scratch, "disk1.host", kKey, mode);
    const std::string fault = fault_of("disk1.host");
    CHECK_MESSAGE(fault.find("chmod 400 " + path) != std::string::npos, fault);
    chmod(path.c_str(), 0600);
  }
}

// As another user while it lives; that takes root.
class As {
 public:
  explicit As(uid_t user) : done_(geteuid() == 0 && seteuid(user) == 0) {}
  ~As() {
    if (done_) CHECK(seteuid(0) == 0);
  }
  As(const As&) = delete;
  As& operator=(const As&) = delete;
  bool done() const { return done_; }

 private:
  bool done_;
};
constexpr uid_t kNobody = 65534;

TEST_CASE("a key file belongs to the process' user or to root; nobody else may own it") {
  const Scratch scratch;
  const std::string path = file_in(scratch, "key", kKey, 0600);
  if (geteuid() != 0 || chown(path.c_str(), kNobody, static_cast<gid_t>(-1)) != 0) {
    MESSAGE("skipped: only root can give files away");
    return;
  }
  const std::string fault = fault_of(path);
  CHECK_MESSAGE(fault.find("belongs to the user nobody") != std::string::npos, fault);
  CHECK_MESSAGE(fault.find("chown root " + path) != std::string::npos, fault);
  REQUIRE(chmod(scratch.path().c_str(), 0755) == 0);
  const As nobody(kNobody);
  REQUIRE(nobody.done());
  CHECK(fault_of(path) == "none");
}

TEST_CASE("a key file that may not be read: the message says who must own it") {
  const Scratch scratch;
  const std::string path = file_in(scratch, "key", kKey, 0600);
  REQUIRE(chmod(scratch.path().c_str(), 0755) == 0);
  const As nobody(kNobody);
  if (!nobody.done()) {
    MESSAGE("skipped: only root can be another user");
    return;
  }
  const std::string fault = fault_of(path);
  CHECK_MESSAGE(fault.find("cannot be opened: Permission denied") != std::string::npos, fault);
  CHECK_MESSAGE(fault.find("chown nobody " + path + " && chmod 600 " + path) != std::string::npos, fault);
}

TEST_CASE("a new key file is its owner's alone, and replaces none") {
  const Scratch scratch;
  const std::string path = scratch.path() + "/new";
  const auto key = DhchapKey::parse(kKey);
  write_key_file(path, *key);
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(core::same(*read_key_file(path), *key));
  CHECK_THROWS_WITH_AS(
      write_key_file(path, *key),
      ("the key file " + path + " cannot be created: File exists; name a file that does not exist yet").c_str(),
      KeyFileError);
}

}  // namespace
}  // namespace nvmf::auth
