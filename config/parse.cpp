#include "config/parse.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "config/document.h"
#include "config/file_content.h"
#include "config/reader.h"
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

Result refuse(const std::string& file, std::string problem, std::string remedy) {
  Result result;
  result.diagnostics.push_back({Severity::error, file, {}, {}, std::move(problem), std::move(remedy)});
  return result;
}

Result refuse_long(const std::string& file) {
  return refuse(file, "the file is too long", "at most " + std::to_string(kMaxFileBytes >> 20U) + " MiB are read");
}

std::string remedy_for(int error) {
  if (error == ENOENT) return "check the name of the config file";
  if (error == EISDIR) return "name a file in that directory";
  if (error == ENXIO) return "name a regular file";
  if (error == EACCES) return "give the user who runs this command the right to read the file";
  return "give a file that can be read";
}

// `error`: of the reading of `text`.
Result parse_read(const std::string& path, const std::string& text, int error) {
  if (error == EFBIG) return refuse_long(path);
  return error == 0 ? parse(text, path) : refuse(path, reading_error(error), remedy_for(error));
}

}  // namespace

Result parse(std::string_view text, std::string file_name) {
  if (text.size() > kMaxFileBytes) return refuse_long(file_name);
  Reader reader(file_name);
  Document document = read_document(text);
  for (SyntaxError& error : document.errors) {
    reader.error_in(std::move(error.path), error.position, std::move(error.problem), std::move(error.remedy));
  }
  Config config;
  config.file = std::move(file_name);
  if (document.root) read_object(config_table(), *document.root, config, reader);
  return finish(std::move(config), std::move(reader));
}

Result load(const std::string& path, std::string* content) {
  std::string text;
  const int error = read_file(path, text);
  Result result = parse_read(path, text, error);
  if (content != nullptr) *content = std::move(text);
  return result;
}

Result load_input(const std::string& path) {
  std::string text;
  const int error = read_input(path, text);
  return parse_read(path, text, error);
}

}  // namespace nvmf::config
