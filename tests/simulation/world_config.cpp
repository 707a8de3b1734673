#include "tests/simulation/world_config.h"

#include <nlohmann/json.hpp>

namespace nvmf::simulation {
namespace {

using nlohmann::json;

std::string uuid_of(uint32_t nsid) {
  std::string number = std::to_string(nsid);
  number.insert(0, 12 - number.size(), '0');
  return "01020304-0506-0708-090a-" + number;
}

json space_of(const WorldConfig::Namespace& wanted, const Directory& directory) {
  json space = {{"nsid", wanted.nsid}, {"uuid", uuid_of(wanted.nsid)}};
  if (wanted.memory_bytes != 0)
    space.update({{"memory", wanted.memory_bytes}, {"zero_copy", true}});
  else
    space["block"] = directory.path_of(wanted.disk);
  if (wanted.uses_cmb)
    space.update({{"p2p", wanted.requires_cmb ? "require" : "prefer"}, {"p2p_provider", WorldConfig::kCmbSsd}});
  if (wanted.max_iops != 0) space["max_iops"] = wanted.max_iops;
  return space;
}

}  // namespace

// A greatest identifier of controllers: without one the daemon begins with one by chance. The directory of state cannot
// be made, so that nothing is kept.
std::string WorldConfig::text(const Directory& directory) const {
  json ports = json::array();
  for (const std::string& address : addresses)
    ports.push_back({{"id", ports.size() + 1}, {"address", address}, {"service", service}});
  json spaces = json::array();
  for (const Namespace& one : namespaces) spaces.push_back(space_of(one, directory));
  json subsystem = {
      {"nqn", nqn}, {"serial", "SN-0001"}, {"model", "Model disks"}, {"cntlid_max", 60000}, {"namespaces", spaces}};
  if (ana_by_topology) subsystem["ana"] = "by_topology";
  if (allowed_hosts.empty())
    subsystem["allow_any_host"] = true;
  else
    subsystem["allowed_hosts"] = allowed_hosts;
  const json config = {
      {"state_dir", directory.path_of("none/state")},
      {"rdma", {{"mdts_bytes", mdts_bytes}, {"max_queue_depth", max_queue_depth}, {"max_io_queues", 8}}},
      {"limits",
       {{"max_new_controllers_per_s", max_new_controllers_per_s},
        {"max_new_controllers_per_s_per_host", max_new_controllers_per_s_per_host}}},
      {"ports", std::move(ports)},
      {"subsystems", {std::move(subsystem)}}};
  return config.dump(1);
}

}  // namespace nvmf::simulation
