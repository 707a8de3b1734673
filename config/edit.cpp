#include "config/edit.h"

#include <algorithm>
#include <set>
#include <utility>

#include "config/object_names.h"

namespace nvmf::config {
namespace {

using Kind = EditError::Kind;

void require_object(const Json& value, const char* what) {
  if (!value.is_object()) throw EditError(Kind::Malformed, std::string(what) + " must be a JSON object");
}

// The list `key` of `object`, created when it is missing.
Json& list_of(Json& object, const char* key) {
  Json& list = object[key];
  if (list.is_null()) list = Json::array();
  return list;
}

// The element of `list` whose `key` is `value`; end() when there is none.
Json::iterator place_of(Json& list, const char* key, const Json& value) {
  return std::ranges::find_if(list, [&](const Json& one) {
    const auto member = one.find(key);
    return member != one.end() && *member == value;
  });
}

Json& find(Json& list, const char* key, const Json& value, const std::string& what) {
  const auto place = place_of(list, key, value);
  if (place == list.end()) throw EditError(Kind::Absent, "there is no " + what);
  return *place;
}

void erase(Json& list, const char* key, const Json& value, const std::string& what) {
  find(list, key, value, what);
  list.erase(place_of(list, key, value));
}

// `noun`: "port", of the object that is added.
void append(Json& list, const char* key, Json object, const std::string& noun) {
  require_object(object, ("a " + noun).c_str());
  const auto identity = object.find(key);
  if (identity != object.end() && place_of(list, key, *identity) != list.end())
    throw EditError(Kind::Present, noun + " " + identity->dump() + " exists already");
  list.push_back(std::move(object));
}

std::string port_text(uint64_t id) { return "port " + std::to_string(id); }
std::string namespace_text(const std::string& nqn, uint64_t nsid) {
  return "namespace " + std::to_string(nsid) + " of " + nqn;
}

uint64_t free_nsid(const Json& namespaces) {
  std::set<uint64_t> taken;
  for (const Json& space : namespaces) taken.insert(space.at("nsid").get<uint64_t>());
  uint64_t nsid = 1;
  while (taken.count(nsid) != 0) ++nsid;
  return nsid;
}

// Removes every entry of the host in "hosts"; false: there is none.
bool forget_authenticated(Json& subsystem, const std::string& hostnqn) {
  const auto hosts = subsystem.find("hosts");
  if (hosts == subsystem.end() || !hosts->is_array()) return false;
  Json kept = Json::array();
  for (Json& host : *hosts)
    if (host.value("nqn", "") != hostnqn) kept.push_back(std::move(host));
  const bool found = kept.size() != hosts->size();
  if (kept.empty())
    subsystem.erase("hosts");
  else
    *hosts = std::move(kept);
  return found;
}

}  // namespace

Json document_of(const SourceFile& file) { return Json::parse(file.text, nullptr, true, true); }

Json editable(const Sources& sources, const Config& config) {
  Json document = document_of(sources.file);
  for (const SourceFile& file : sources.drop_ins) {
    Json drop_in = document_of(file);
    for (Json& subsystem : drop_in["subsystems"]) document["subsystems"].push_back(std::move(subsystem));
  }
  for (size_t i = 0; i < config.subsystems.size(); ++i) {
    const auto& namespaces = config.subsystems[i].namespaces;
    for (size_t k = 0; k < namespaces.size(); ++k)
      document["subsystems"][i]["namespaces"][k]["nsid"] = namespaces[k].nsid;
  }
  return document;
}

std::string text_of(const Json& document) { return document.dump(2) + "\n"; }

std::string text_of(const Sources& sources) {
  Json files = Json::array();
  files.push_back(Json::array({sources.file.name, sources.file.text}));
  for (const SourceFile& drop_in : sources.drop_ins) files.push_back(Json::array({drop_in.name, drop_in.text}));
  return files.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Sources sources_of(const std::string& text) {
  const Json files = Json::parse(text);
  Sources sources;
  for (size_t i = 0; i < files.size(); ++i) {
    SourceFile file{.name = files.at(i).at(0), .text = files.at(i).at(1)};
    if (i == 0)
      sources.file = std::move(file);
    else
      sources.drop_ins.push_back(std::move(file));
  }
  return sources;
}

void forget_positions(Result& parsed) {
  name_objects(parsed.diagnostics, Json());
  if (!parsed.config) return;
  for (Subsystem& subsystem : parsed.config->subsystems) {
    subsystem.position = {};
    for (Host& host : subsystem.hosts) host.position = {};
    for (Namespace& space : subsystem.namespaces) space.position = space.backend_position = {};
  }
}

Json& find_port(Json& document, uint64_t id) { return find(list_of(document, "ports"), "id", id, port_text(id)); }

Json& find_subsystem(Json& document, const std::string& nqn) {
  return find(list_of(document, "subsystems"), "nqn", nqn, "subsystem " + nqn);
}

Json& find_namespace(Json& document, const std::string& nqn, uint64_t nsid) {
  return find(list_of(find_subsystem(document, nqn), "namespaces"), "nsid", nsid, namespace_text(nqn, nsid));
}

void add_port(Json& document, Json port) { append(list_of(document, "ports"), "id", std::move(port), "port"); }

void remove_port(Json& document, uint64_t id) { erase(list_of(document, "ports"), "id", id, port_text(id)); }

void add_subsystem(Json& document, Json subsystem) {
  append(list_of(document, "subsystems"), "nqn", std::move(subsystem), "subsystem");
}

void remove_subsystem(Json& document, const std::string& nqn) {
  erase(list_of(document, "subsystems"), "nqn", nqn, "subsystem " + nqn);
}

uint64_t add_namespace(Json& document, const std::string& nqn, Json space) {
  require_object(space, "a namespace");
  Json& namespaces = list_of(find_subsystem(document, nqn), "namespaces");
  if (!space.contains("nsid")) space["nsid"] = free_nsid(namespaces);
  const Json& nsid = space["nsid"];
  if (!nsid.is_number_unsigned()) throw EditError(Kind::Malformed, "\"nsid\" must be a positive integer");
  const auto number = nsid.get<uint64_t>();
  append(namespaces, "nsid", std::move(space), "namespace");
  return number;
}

void remove_namespace(Json& document, const std::string& nqn, uint64_t nsid) {
  erase(list_of(find_subsystem(document, nqn), "namespaces"), "nsid", nsid, namespace_text(nqn, nsid));
}

void allow_host(Json& document, const std::string& nqn, const std::string& hostnqn) {
  Json& hosts = list_of(find_subsystem(document, nqn), "allowed_hosts");
  if (std::ranges::find(hosts, Json(hostnqn)) == hosts.end()) hosts.push_back(hostnqn);
}

void deny_host(Json& document, const std::string& nqn, const std::string& hostnqn) {
  Json& subsystem = find_subsystem(document, nqn);
  Json& hosts = list_of(subsystem, "allowed_hosts");
  const auto place = std::ranges::find(hosts, Json(hostnqn));
  const bool was_allowed = place != hosts.end();
  if (was_allowed) hosts.erase(place);
  if (!forget_authenticated(subsystem, hostnqn) && !was_allowed)
    throw EditError(Kind::Absent, "host " + hostnqn + " is not in \"hosts\" or \"allowed_hosts\" of subsystem " + nqn);
}

void set(Json& object, const Json& patch) {
  require_object(patch, "the body of this request");
  object.merge_patch(patch);
}

}  // namespace nvmf::config
