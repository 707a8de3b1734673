#include "config/parse.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "config/document.h"
#include "config/object_names.h"
#include "config/reader.h"
#include "config/rules.h"
#include "config/tables.h"

namespace nvmf::config {
namespace {

Result finish(Config config, Reader reader) {
  Result result;
  result.diagnostics = reader.take_diagnostics(kMaxDiagnostics);
  const bool usable = std::ranges::none_of(
      result.diagnostics, [](const Diagnostic& diagnostic) { return diagnostic.severity == Severity::error; });
  if (usable) result.config = std::move(config);
  return result;
}

Diagnostic refusal(SourceFault one) {
  return {Severity::error, std::move(one.name), {}, {}, std::move(one.problem), std::move(one.remedy)};
}

std::vector<std::string> names_of(const std::vector<SourceFile>& files) {
  std::vector<std::string> names;
  names.reserve(files.size());
  for (const SourceFile& file : files) names.push_back(file.name);
  return names;
}

// Each file as a tree, the config file first.
std::vector<Document> documents_of(const Sources& sources, Reader& reader) {
  std::vector<Document> documents;
  documents.push_back(read_document(sources.file.text));
  for (const SourceFile& drop_in : sources.drop_ins)
    documents.push_back(read_document(drop_in.text, static_cast<uint32_t>(documents.size())));
  for (Document& document : documents)
    for (SyntaxError& error : document.errors)
      reader.error_in(std::move(error.path), error.position, std::move(error.problem), std::move(error.remedy));
  return documents;
}

// What has a place in the config file only: taken out of the drop-in, where it would be an unknown key.
void refuse_keys_of_config_file(Value& root, Reader& reader) {
  auto* const members = std::get_if<Object>(&root.data);
  if (members == nullptr) return;
  const auto is_key_of = [](const Table<Config>& table, const Member& member) {
    return std::ranges::find(table.keys, member.key, &Key<Config>::name) != table.keys.end();
  };
  std::erase_if(*members, [&](const Member& member) {
    if (is_key_of(drop_in_table(), member) || !is_key_of(config_table(), member)) return false;
    const auto step = reader.into(member.key);
    reader.error(member.position, "a drop-in may have \"subsystems\", but no key that concerns the whole target",
                 "write it in " + reader.name_of_file(0));
    return true;
  });
}

// Adds what the file has to `config`. None: it is no object.
std::optional<FileOfConfig> read_one(const Value& root, uint32_t file, Config& config, Reader& reader) {
  const size_t first = config.subsystems.size();
  reader.begin_file(file);
  if (!read_object(file == 0 ? config_table() : drop_in_table(), root, config, reader)) return std::nullopt;
  return FileOfConfig{file, &root, first, config.subsystems.size() - first};
}

// `has_all_files`: no drop-in was left out because it could not be read.
void read_all(std::vector<Document>& documents, bool has_all_files, Config& config, Reader& reader) {
  std::vector<FileOfConfig> files;
  bool has_config_file = false;
  for (uint32_t file = 0; file < documents.size(); ++file) {
    std::optional<Value>& root = documents[file].root;
    if (!root) continue;
    reader.begin_file(file);
    if (file != 0) refuse_keys_of_config_file(*root, reader);
    const auto read = read_one(*root, file, config, reader);
    if (!read) continue;
    files.push_back(*read);
    has_config_file |= file == 0;
  }
  // Without it, nothing is known of the ports that subsystems name.
  if (has_config_file) check_config(files, has_all_files && !reader.has_error_in_drop_in(), config, reader);
}

Result parse_files(const Sources& sources, bool has_all_files, bool is_seen = true) {
  Result result;
  if (auto beyond = beyond_bounds(sources)) {
    result.diagnostics.push_back(refusal(std::move(*beyond)));
    return result;
  }
  Config config;
  config.file = sources.file.name;
  config.drop_ins = names_of(sources.drop_ins);
  std::vector<std::string> names = config.drop_ins;
  names.insert(names.begin(), config.file);
  Reader reader(std::move(names), is_seen);
  std::vector<Document> documents = documents_of(sources, reader);
  read_all(documents, has_all_files, config, reader);
  return finish(std::move(config), std::move(reader));
}

// `unreadable`: what could not be read, which comes first.
Result parse_read(const Sources& sources, std::vector<SourceFault> unreadable) {
  const bool has_config_file = std::ranges::find(unreadable, sources.file.name, &SourceFault::name) == unreadable.end();
  Result parsed;
  if (has_config_file) parsed = parse_files(sources, unreadable.empty());
  if (unreadable.empty()) return parsed;
  Result result;
  for (SourceFault& one : unreadable) result.diagnostics.push_back(refusal(std::move(one)));
  std::ranges::move(parsed.diagnostics, std::back_inserter(result.diagnostics));
  return result;
}

}  // namespace

Result parse(const Sources& sources) { return parse_files(sources, true); }

Result parse(std::string_view text, std::string file_name) {
  return parse(Sources{.file = {.name = std::move(file_name), .text = std::string(text)}});
}

Result parse_unseen(const Sources& sources) {
  Result result = parse_files(sources, true, false);
  if (!result.diagnostics.empty())
    name_objects(result.diagnostics, nlohmann::ordered_json::parse(sources.file.text, nullptr, false));
  return result;
}

Result load(const std::string& path, Sources* sources) {
  Sources read;
  std::vector<SourceFault> unreadable = read_sources(path, read);
  Result result = parse_read(read, std::move(unreadable));
  if (sources != nullptr) *sources = std::move(read);
  return result;
}

Result load_input(const std::string& path) {
  Sources read;
  std::vector<SourceFault> unreadable = read_input_sources(path, read);
  return parse_read(read, std::move(unreadable));
}

}  // namespace nvmf::config
