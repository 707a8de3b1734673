#include "target/daemon/cli/config_manual.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "target/daemon/cli/roff.h"

namespace nvmf::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kIntroduction[] =
    "The config file of nvmf-p2p(1) is a JSON object, with // and /* */ comments. `nvmf-p2p check FILE` reports every "
    "mistake with its line and column, and what cannot work on this machine. A reload (SIGHUP, `nvmf-p2p reload`) "
    "applies a changed file while hosts are connected, all of it or nothing.";
constexpr char kDropIns[] =
    "The files *.json in the directory conf.d beside the config file are read after it, in the order of their "
    "names. Each adds some subsystems, so that a volume or a tenant is one file: it has the key \"subsystems\", "
    "whose elements are those of the config file, and may have \"$schema\"; all other keys concern the whole "
    "target, and belong to the config file. What must be unique is so in all files together. A drop-in with a "
    "mistake, or one that cannot be read, refuses the whole config. Files whose names begin with a dot or end "
    "otherwise are not read. All files together have at most 4 MiB, 1,024 subsystems and 1,024 drop-ins. `nvmf-p2p "
    "save` writes a change of a subsystem to the file that it came from; new subsystems go to the config file.";
constexpr char kExample[] = R"({
  "ports": [{ "id": 1, "address": "192.0.2.10" }],
  "subsystems": [
    {
      "nqn": "nqn.2026-01.io.example:disk1",
      "allowed_hosts": ["nqn.2014-08.org.nvmexpress:uuid:3c1e2f4a-0000-4000-8000-000000000001"],
      "namespaces": [{ "nvme": "/dev/ng0n1", "p2p": "prefer" }]
    }
  ]
}
)";

std::string joined(const std::vector<std::string>& words, const std::string& separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

std::string range_of(const Json& value) {
  return value.contains("minimum") ? ", " + value["minimum"].dump() + " to " + value["maximum"].dump() : "";
}

// What a key takes: "integer, 1 to 65535", "\"text\" or \"json\"".
std::string kind_of(const Json& value) {
  if (value.contains("properties")) return "object";
  if (value.contains("enum")) {
    std::vector<std::string> words;
    for (const Json& one : value["enum"]) words.push_back(one.dump());
    return joined(words, ", ");
  }
  if (value.contains("anyOf")) {
    std::vector<std::string> kinds;
    for (const Json& one : value["anyOf"]) kinds.push_back(kind_of(one));
    return joined(kinds, "; or ");
  }
  const std::string type = value.value("type", "");
  if (type == "array") {
    const std::string elements = kind_of(value["items"]);
    return "list of at most " + value["maxItems"].dump() + (elements == "object" ? " objects" : ": " + elements);
  }
  if (type == "string" && value.value("pattern", "").starts_with("^/")) return "absolute path";
  return type + range_of(value);
}

// A key of an object; it is a chapter of its own when it is an object, or a list of objects.
struct Chapter {
  std::string path;  // "subsystems[].namespaces[]"; empty: the file itself
  const Json* object;
};

const Json* object_in(const Json& value) {
  if (value.contains("properties")) return &value;
  if (value.contains("items")) return object_in(value["items"]);
  if (value.contains("anyOf"))
    for (const Json& one : value["anyOf"])
      if (const Json* const object = object_in(one)) return object;
  return nullptr;
}

// One of its forms may be a list.
bool is_list(const Json& value) {
  return value.contains("items") || std::ranges::any_of(value.value("anyOf", Json::array()), is_list);
}

std::string path_of(const std::string& parent, const std::string& key, const Json& value) {
  return (parent.empty() ? "" : parent + ".") + key + (is_list(value) ? "[]" : "");
}

// Each object after the one that it is in.
void collect(const std::string& path, const Json& object, std::vector<Chapter>& chapters) {
  chapters.push_back({path, &object});
  for (const auto& [key, value] : object["properties"].items())
    if (const Json* const inner = object_in(value)) collect(path_of(path, key, value), *inner, chapters);
}

std::string entry_of(const Chapter& chapter, const std::string& key, const Json& value) {
  const Json required = chapter.object->value("required", Json::array());
  const bool is_required = std::ranges::find(required, Json(key)) != required.end();
  std::string text = ".TP\n" + bold(key) + " (" + roff(kind_of(value)) + (is_required ? "; required" : "") +
                     (value.contains("default") ? "; default: " + roff(value["default"].dump()) : "") + ")\n";
  const std::string description = value.value("description", "");
  text += roff(description) + "\n";
  if (object_in(value) != nullptr) text += "Its keys: see " + bold(path_of(chapter.path, key, value)) + ".\n";
  return text;
}

std::string section_of(const Chapter& chapter) {
  std::string text = chapter.path.empty() ? ".SH KEYS OF THE FILE\n" : ".SS " + roff(chapter.path) + "\n";
  for (const auto& [key, value] : (*chapter.object)["properties"].items()) text += entry_of(chapter, key, value);
  return text;
}

}  // namespace

std::string config_manual(const std::string& schema_text, const std::string& source) {
  const Json schema = Json::parse(schema_text);
  std::vector<Chapter> chapters;
  collect("", schema, chapters);
  std::string text = title_line("nvmf-p2p.json", 5, source);
  text += ".SH NAME\nnvmf\\-p2p.json \\- the config file of nvmf\\-p2p\n";
  text += ".SH DESCRIPTION\n" + roff(kIntroduction) + "\n";
  text += ".SH DROP\\-INS\n" + roff(kDropIns) + "\n";
  text += section_of(chapters.front());
  text += ".SH KEYS OF OBJECTS IN IT\nThe headings are paths: [] stands for each element of a list.\n";
  for (size_t i = 1; i < chapters.size(); ++i) text += section_of(chapters[i]);
  text += ".SH FILES\n.TP\n.I /etc/nvmf\\-p2p/config.json\nThe file of the service.\n";
  text += ".TP\n.I /etc/nvmf\\-p2p/conf.d/*.json\nIts drop\\-ins.\n";
  text += ".SH EXAMPLES\n.nf\n" + roff(kExample) + ".fi\n";
  text += ".SH SEE ALSO\n.BR nvmf\\-p2p (1)\n";
  return text;
}

}  // namespace nvmf::cli
