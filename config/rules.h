// Rules that relate several keys. They are called with an object of the file and the struct that was read from it, in
// which a key with a mistake still has its default.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/document.h"
#include "config/reader.h"

namespace nvmf::config {

// Whether a key of `object` is a misspelling of one of `keys`: that has been reported, so no key is missing. `similar`:
// keys of the object that look like a misspelling and are none.
bool misspells_one_of(std::span<const std::string_view> keys, const Value& object,
                      std::span<const std::string_view> similar = {});

void check_rdma_device(const Value& object, RdmaDevice& device, Reader& reader);
void check_reactors(const Value& object, Reactors& reactors, Reader& reader);
void check_port(const Value& object, Port& port, Reader& reader);
void check_referral(const Value& object, Referral& referral, Reader& reader);
void check_admin(const Value& object, Admin& admin, Reader& reader);
void check_discovery(const Value& object, Discovery& discovery, Reader& reader);
void check_namespace(const Value& object, Namespace& ns, Reader& reader);
// Checks that no two namespaces of a subsystem share what must be unique. The subsystem is known by its path in the
// file.
void check_namespace_in_subsystem(const Value& object, const Namespace& ns, const std::string& subsystem,
                                  Reader& reader);

// Relations between namespaces of different subsystems. Each namespace of the file is checked once.
class NamespacesOfFile {
 public:
  // `subsystem`: its path in the file.
  void check(const Value& object, const Namespace& ns, const std::string& subsystem, Reader& reader);

 private:
  struct Named {
    std::string subsystem;
    std::string device;  // by_device_: the key that names it
  };
  std::map<std::string, Named> by_device_;      // the first with each
  std::map<std::string, Named> by_identifier_;  // the first with each; by noun and bytes
};

void check_subsystem(const Value& object, Subsystem& subsystem, Reader& reader);
void check_config(const Value& object, Config& config, Reader& reader);

}  // namespace nvmf::config
