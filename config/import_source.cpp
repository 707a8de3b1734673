#include "config/import_source.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>
#include <map>
#include <sstream>
#include <utility>

#include "config/paths.h"
#include "config/table.h"
#include "config/wording.h"
#include "config/write.h"

namespace nvmf::config {
namespace {

bool is_harmless(const Value& value, std::string_view harmless) {
  if (harmless == kAnyValue) return true;
  const std::string text = scalar_text(&value);
  std::istringstream words{std::string(harmless)};
  for (std::string word; words >> word;) {
    if (word == text) return true;
  }
  return false;
}

// The config file refuses a repeated key, too: nobody knows which of its values is meant.
void report_repeated_keys(const Value& value, Reader& reader) {
  if (const auto* array = value.as<Array>()) {
    for (size_t i = 0; i < array->size(); ++i) {
      const auto step = reader.into(i);
      report_repeated_keys((*array)[i], reader);
    }
  }
  const auto* members = value.as<Object>();
  if (members == nullptr) return;
  std::map<std::string_view, Position> given;
  for (const Member& member : *members) {
    const auto [first, is_new] = given.try_emplace(member.key, member.position);
    if (!is_new) report_repeated_key(member, first->second, reader);
    const auto step = reader.into(member.key);
    report_repeated_keys(member.value, reader);
  }
}

bool is_file(std::string_view path) { return !check_path(PathRole::file, path).has_value(); }

}  // namespace

ImportSource read_import_source(std::string_view text, const std::string& file) {
  ImportSource source;
  if (text.size() > kMaxFileBytes) {
    source.refusal = refuse_import(file, {}, "the file is too long",
                                   "at most " + std::to_string(kMaxFileBytes >> 20U) + " MiB are read");
    return source;
  }
  Document document = read_document(text);
  for (SyntaxError& error : document.errors) {
    source.refusal.diagnostics.push_back({Severity::error, file, error.position, std::move(error.path),
                                          std::move(error.problem), std::move(error.remedy)});
  }
  if (!document.root) return source;
  Reader reader(file);
  report_repeated_keys(*document.root, reader);
  std::ranges::move(reader.take_diagnostics(kMaxDiagnostics), std::back_inserter(source.refusal.diagnostics));
  if (source.refusal.diagnostics.empty()) source.root = std::move(document.root);
  return source;
}

ImportResult refuse_import(const std::string& file, Position position, std::string problem, std::string remedy) {
  ImportResult result;
  result.diagnostics.push_back({Severity::error, file, position, "$", std::move(problem), std::move(remedy)});
  return result;
}

ImportResult finish_import(const Config& config, Reader reader, const std::string& file) {
  ImportResult result{parse(write(config), file + " as imported")};
  std::erase_if(result.diagnostics, [](const Diagnostic& one) { return one.severity == Severity::warning; });
  for (Diagnostic& diagnostic : reader.take_diagnostics(kMaxDiagnostics)) {
    if (diagnostic.severity == Severity::error) {
      diagnostic.problem = "not carried over: " + diagnostic.problem;
      ++result.left_out;
    }
    diagnostic.severity = Severity::warning;
    result.diagnostics.push_back(std::move(diagnostic));
  }
  return result;
}

void report_foreign_keys(const Value& object, std::span<const std::string_view> carried,
                         std::span<const ForeignKey> foreign, Reader& reader) {
  const auto* members = object.as<Object>();
  if (members == nullptr) return;
  for (const Member& member : *members) {
    if (std::ranges::find(carried, member.key) != carried.end()) continue;
    const auto step = reader.into(member.key);
    const auto known = std::ranges::find(foreign, member.key, &ForeignKey::name);
    if (known == foreign.end()) {
      reader.error(member.position, "this import does not know the key", "");
    } else if (!is_harmless(member.value, known->harmless)) {
      reader.error(member.position, std::string(known->why), std::string(known->remedy));
    }
  }
}

std::string scalar_text(const Value* value) {
  if (value == nullptr) return {};
  if (const auto* text = value->as<std::string>()) return *text;
  if (const auto* number = value->as<uint64_t>()) return std::to_string(*number);
  if (const auto* number = value->as<int64_t>()) return std::to_string(*number);
  if (const auto* boolean = value->as<bool>()) return *boolean ? "1" : "0";
  return {};
}

bool is_on(const Value* value) { return scalar_text(value) == "1"; }

bool is_given(const Value* value) {
  if (value == nullptr || value->as<std::monostate>() != nullptr) return false;
  const auto* text = value->as<std::string>();
  return text == nullptr || !text->empty();
}

Value as_number(const Value& value) {
  const auto* text = value.as<std::string>();
  uint64_t number = 0;
  if (text == nullptr || text->empty()) return value;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size()) return value;
  return {value.position, number};
}

const Value& member_or_empty(const Value& object, std::string_view key) {
  static const Value empty{{}, Object{}};
  const Value* member = object.find(key);
  return member != nullptr ? *member : empty;
}

void report_empty(const Subsystem& subsystem, size_t namespaces_in_source, std::string path, Position position,
                  Reader& reader) {
  if (!subsystem.namespaces.empty() || namespaces_in_source == 0) return;
  reader.error_in(std::move(path), position, "all namespaces of subsystem " + quote(subsystem.nqn),
                  "hosts that connect find none; add them, or remove the subsystem");
}

bool has_room(size_t size, size_t most, const Value& element, Reader& reader) {
  if (size < most) return true;
  reader.error(element.position, "there are " + std::to_string(most) + " already; no more are possible", "");
  return false;
}

bool read_backend(const Value& path, const std::string& among, Namespace& ns, Reader& reader) {
  const std::string given = scalar_text(&path);
  const bool generic = device_identity(normal_path(given)) != normal_path(given);
  std::string normal;
  if (generic) {
    if (!Path{PathRole::nvme_device}.read(path, normal, reader)) return false;
    ns.backend = NvmeBackend{normal};
    ns.p2p = P2pMode::prefer;
  } else if (is_file(given)) {
    if (!Path{PathRole::file}.read(path, normal, reader)) return false;
    ns.backend = FileBackend{normal};
  } else {
    if (!Path{PathRole::block_device}.read(path, normal, reader)) return false;
    ns.backend = BlockBackend{normal};
  }
  return reader.unique("device of " + among, device_identity(normal), path.position, Severity::error,
                       "no two of these namespaces may share a device");
}

}  // namespace nvmf::config
