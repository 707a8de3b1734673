// to_json(): doctor's report for machines.
#include <nlohmann/json.hpp>

#include "p2p/acs.h"
#include "p2p/doctor.h"

namespace nvmf::p2p {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(PathKind kind) {
  switch (kind) {
    case PathKind::SharedBridge:
      return "shared bridge";
    case PathKind::Redirected:
      return "redirected";
    case PathKind::RootComplex:
      return "root complex";
    case PathKind::NotPci:
      break;
  }
  return "software";
}

Json json_of(const PciPath& path) {
  return {{"kind", name_of(path.kind)},
          {"shared_bridge", path.shared_bridge},
          {"redirecting", path.redirecting},
          {"unknown_acs", path.unknown_acs},
          {"distance", path.distance},
          {"same_root_bus", path.same_root_bus},
          {"across_sockets", path.across_sockets}};
}

Json json_of(const PairReport& pair) {
  return {{"ssd", pair.ssd},
          {"rnic", pair.rnic},
          {"verdict", name_of(pair.verdict)},
          {"provider", pair.provider},
          {"reasons", pair.reasons},
          {"remedies", pair.remedies},
          {"path", pair.path ? json_of(*pair.path) : Json()}};
}

Json json_of(const NvmeController& ssd) {
  Json json = {{"name", ssd.name},     {"pci_address", ssd.bdf}, {"model", ssd.model},
               {"serial", ssd.serial}, {"state", ssd.state},     {"namespaces", Json::array()}};
  for (const NvmeNamespace& one : ssd.namespaces)
    json["namespaces"].push_back(
        {{"nsid", one.nsid}, {"block", one.block}, {"generic", one.generic}, {"size_bytes", one.size_bytes}});
  if (ssd.other_driver) json["other_driver"] = *ssd.other_driver;
  if (ssd.cmb)
    json["cmb"] = {{"size_bytes", ssd.cmb->size_bytes},
                   {"offset_bytes", ssd.cmb->offset_bytes},
                   {"read_data", ssd.cmb->read_data},
                   {"write_data", ssd.cmb->write_data}};
  if (ssd.peer_memory)
    json["peer_memory"] = {{"size_bytes", ssd.peer_memory->size_bytes},
                           {"available_bytes", ssd.peer_memory->available_bytes},
                           {"published", ssd.peer_memory->published},
                           {"mappable", ssd.peer_memory->mappable},
                           {"permitted", ssd.peer_memory->permitted}};
  return json;
}

Json json_of(const RdmaDevice& rnic) {
  Json json = {{"name", rnic.name}, {"pci_address", rnic.bdf}, {"driver", rnic.driver}, {"ports", Json::array()}};
  for (const RdmaPort& port : rnic.ports)
    json["ports"].push_back(
        {{"number", port.number}, {"state", port.state}, {"netdevs", port.netdevs}, {"mtu", port.netdev_mtu}});
  return json;
}

Json json_of(const PciDevice& device) {
  Json upward = Json::array();
  for (const PciFunction& function : device.upward)
    upward.push_back({{"pci_address", function.bdf}, {"acs_redirect", name_of(function.acs)}});
  return {{"pci_address", device.bdf},
          {"root_bus", device.root_bus},
          {"numa_node", device.numa_node},
          {"driver", device.driver},
          {"upward", upward}};
}

Json json_of(const Requirement& requirement) {
  return {{"met", requirement.met}, {"what", requirement.what}, {"remedy", requirement.met ? "" : requirement.remedy}};
}

// What turns redirection off in all functions that redirect data of a pair.
Json acs_of(const Report& report) {
  const std::vector<std::string> functions = redirecting_functions(report);
  Json commands = Json::array();
  for (const std::string& function : functions) commands.push_back(acs_command(function));
  return {{"redirecting", functions},
          {"boot_parameter", functions.empty() ? "" : acs_boot_parameter(functions)},
          {"commands", commands}};
}

template <class Element>
Json json_of(const std::vector<Element>& elements) {
  Json array = Json::array();
  for (const Element& element : elements) array.push_back(json_of(element));
  return array;
}

}  // namespace

std::string to_json(const Report& report) {
  const Json json = {{"kernel", report.kernel.release},
                     {"processor", report.platform.processor},
                     {"iommus", report.iommus},
                     {"requirements", json_of(report.requirements)},
                     {"rnics", json_of(report.rnics)},
                     {"ssds", json_of(report.controllers)},
                     {"pci", json_of(report.pci)},
                     {"pairs", json_of(report.pairs)},
                     {"acs", acs_of(report)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace nvmf::p2p
