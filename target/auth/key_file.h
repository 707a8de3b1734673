// Files that have one key each.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "target/auth/dhchap_key.h"

namespace nvmf::auth {

// The file cannot be read, somebody else than the process' user and root may read or own it, or it has no key. The
// message names the file and the remedy, and quotes nothing of the file.
struct KeyFileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The path of a key file. A name without a slash is a credential of the service manager: a file of that name in
// $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential=), where the group may read it, too: systemd's modes are 0400
// and, with an access control list, 0440. Throws KeyFileError when there is no such directory.
std::string path_of_key(const std::string& name);

// `name` as in path_of_key(). Throws KeyFileError.
std::shared_ptr<const DhchapKey> read_key_file(const std::string& name);

// Writes a new file, which only its owner may read. Throws KeyFileError, also when the file exists; half a key is not
// left behind.
void write_key_file(const std::string& path, const DhchapKey& key);

}  // namespace nvmf::auth
