#include "target/daemon/key_command.h"

#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/printable.h"
#include "target/auth/dhchap_key.h"
#include "target/auth/key_file.h"
#include "target/daemon/cli/arguments.h"

namespace nvmf::daemon {
namespace {

using auth::DhchapKey;
using nvme::DhchapHash;

constexpr int kFailed = 1;
constexpr int kNoKey = 2;

const std::map<std::string, int> kTransforms = {{"none", 0}, {"sha256", 1}, {"sha384", 2}, {"sha512", 3}};

struct NewKey {
  std::string transform = "none";
  size_t length_bytes = 0;  // 0: as long as the transform's hash value
  std::string path;         // empty: standard output
};

std::optional<DhchapHash> transform_of(const std::string& name) {
  const int digit = kTransforms.at(name);
  return digit == 0 ? std::nullopt : std::optional(static_cast<DhchapHash>(digit));
}

const char* name_of(std::optional<DhchapHash> transform) {
  static constexpr const char* kNames[] = {"none", "SHA-256", "SHA-384", "SHA-512"};
  return kNames[transform ? static_cast<size_t>(*transform) : 0];
}

size_t length_of(const NewKey& wanted) {
  constexpr size_t kUsual = 32;
  if (wanted.length_bytes != 0) return wanted.length_bytes;
  const auto transform = transform_of(wanted.transform);
  return transform ? nvme::hash_length_bytes(*transform) : kUsual;
}

// As nvme-cli has it (nvme gen-dhchap-key): a hash transforms keys of its own length.
void check_length(const NewKey& wanted) {
  const auto transform = transform_of(wanted.transform);
  if (!transform || wanted.length_bytes == 0) return;
  const std::string bytes = std::to_string(nvme::hash_length_bytes(*transform));
  if (std::to_string(wanted.length_bytes) == bytes) return;
  throw CLI::ValidationError("--length", "is " + std::to_string(wanted.length_bytes) + ", but a key that " +
                                             name_of(transform) + " transforms has " + bytes +
                                             " bytes: give --length " + bytes +
                                             ", or leave --length out; keys of other lengths go with --transform none");
}

int generate(const NewKey& wanted) {
  const auto key = DhchapKey::generate(length_of(wanted), transform_of(wanted.transform));
  if (wanted.path.empty()) {
    const auth::Secret text = key->text();
    std::cout.write(reinterpret_cast<const char*>(text.bytes().data()), static_cast<std::streamsize>(text.size()));
    std::cout << std::endl;
    return 0;
  }
  try {
    write_key_file(wanted.path, *key);
  } catch (const auth::KeyFileError& error) {
    std::cerr << error.what() << '\n';
    return kFailed;
  }
  return 0;
}

std::string description_of(const DhchapKey& key) {
  return std::to_string(key.length_bytes()) + " bytes, transform " + name_of(key.transform()) + ", fingerprint " +
         key.fingerprint();
}

// Credentials are there only in a service; elsewhere a name without a slash is a file, as for any other command.
std::string path_of(const std::string& given) {
  const bool is_name = given.find('/') == std::string::npos;
  return is_name && std::getenv("CREDENTIALS_DIRECTORY") == nullptr ? "./" + given : given;
}

int show(const std::string& given, bool only_fingerprint) {
  const std::string path = path_of(given);
  try {
    const auto key = auth::read_key_file(path);
    std::cout << (only_fingerprint ? key->fingerprint() : config::printable(path) + ": good: " + description_of(*key))
              << '\n';
    return 0;
  } catch (const auth::KeyFileError& error) {
    std::cerr << error.what() << '\n';
    return kNoKey;
  }
}

void add_generate(CLI::App& group, std::function<int()>& chosen) {
  auto wanted = std::make_shared<NewKey>();
  CLI::App* const command =
      group.add_subcommand("generate", "Print a new random key, or write it to a file that only its owner may read");
  command->add_option("--transform", wanted->transform, "How host or subsystem transform the key: by none or one hash")
      ->type_name("HASH")
      ->check(CLI::IsMember({"none", "sha256", "sha384", "sha512"}).description(""))
      ->capture_default_str();
  command
      ->add_option("--length", wanted->length_bytes,
                   "Bytes: 32, 48 or 64; with a hash its length, which is the default; otherwise 32")
      ->type_name("BYTES")
      ->check(CLI::IsMember({32, 48, 64}).description(""));
  cli::file_name(
      command->add_option("--output", wanted->path, "Write the key to this new file; default: standard output"))
      ->type_name("FILE");
  command->callback([=, &chosen] {
    check_length(*wanted);
    chosen = [=] { return generate(*wanted); };
  });
}

void add_reader(CLI::App& group, const char* name, const char* what, bool only_fingerprint,
                std::function<int()>& chosen) {
  auto path = std::make_shared<std::string>();
  CLI::App* const command = group.add_subcommand(name, what);
  cli::file_name(
      command->add_option("file", *path,
                          "The key file; in a service a name without a slash is a file in $CREDENTIALS_DIRECTORY"))
      ->type_name("FILE")
      ->required();
  command->callback([=, &chosen] { chosen = [=] { return show(*path, only_fingerprint); }; });
}

}  // namespace

void add_key_command(CLI::App& app, std::function<int()>& chosen) {
  CLI::App* const group = app.add_subcommand("key", "Make and check keys for authentication (DH-HMAC-CHAP)");
  group->require_subcommand(1);
  add_generate(*group, chosen);
  add_reader(*group, "check",
             "Check the format, the checksum and the access rights of a key file; the key is not shown", false, chosen);
  add_reader(*group, "show-fingerprint", "Print what tells the key of a file from other keys, without the key", true,
             chosen);
}

}  // namespace nvmf::daemon
