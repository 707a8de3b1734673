// Rules that relate several keys. They are called with an object of the file and the struct that was read from it, in
// which a key with a mistake still has its default.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/document.h"
#include "config/reader.h"

namespace nvmf::config {

// Whether a key of `object` is a misspelling of one of `keys`: that has been reported, so no key is missing. `similar`:
// keys of the object that look like a misspelling and are none.
bool misspells_one_of(std::span<const std::string_view> keys, const Value& object,
                      std::span<const std::string_view> similar = {});

void check_rdma_device(const Value& object, RdmaDevice& device, Reader& reader);
void check_rdma(const Value& object, Rdma& rdma, Reader& reader);
void check_reactors(const Value& object, Reactors& reactors, Reader& reader);
void check_port(const Value& object, Port& port, Reader& reader);
void check_referral(const Value& object, Referral& referral, Reader& reader);
void check_admin(const Value& object, Admin& admin, Reader& reader);
void check_discovery(const Value& object, Discovery& discovery, Reader& reader);
void check_namespace(const Value& object, Namespace& ns, Reader& reader);
// Checks that no two namespaces of a subsystem share what must be unique. `subsystem`: its Reader::identity().
void check_namespace_in_subsystem(const Value& object, const Namespace& ns, const std::string& subsystem,
                                  Reader& reader);

// A subsystem as the relations of its namespaces know it.
struct SubsystemPlace {
  std::string identity;  // Reader::identity()
  std::string path;
};

// Relations between namespaces of different subsystems, in all files. Each namespace is checked once.
class NamespacesOfConfig {
 public:
  void check(const Value& object, const Namespace& ns, const SubsystemPlace& subsystem, Reader& reader);

 private:
  struct Named {
    SubsystemPlace subsystem;
    std::string device;  // by_device_: the key that names it
    Position position;
  };
  // The subsystem of `named`, for a message about the present value.
  static std::string name_of_subsystem(const Named& named, const Reader& reader);

  std::map<std::string, Named> by_device_;      // the first with each
  std::map<std::string, Named> by_identifier_;  // the first with each; by noun and bytes
};

void check_subsystem(const Value& object, Subsystem& subsystem, Reader& reader);

// What was read from one file of the config: the subsystems are elements of its "subsystems", in their order.
struct FileOfConfig {
  uint32_t file;      // see Position
  const Value* root;  // an object
  size_t first;       // of Config::subsystems
  size_t subsystems;  // how many
};

// Called when all files have been read; the config file is the first. `has_all_subsystems`: no drop-in is missing or
// has a mistake, so that a subsystem which is not in `config` is in no file either.
void check_config(const std::vector<FileOfConfig>& files, bool has_all_subsystems, Config& config, Reader& reader);

}  // namespace nvmf::config
