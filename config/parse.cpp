#include "config/parse.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <utility>

#include "config/document.h"
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
  if (error == ENXIO) return "name a regular file, or - for standard input";
  if (error == EACCES) return "give the user who runs this command the right to read the file";
  return "give a file that can be read";
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Standard input, or a file. A FIFO whose writer never comes is no file to wait for.
std::FILE* open_file(const std::string& path) {
  const bool is_standard_input = path == "-";
  const int descriptor =
      is_standard_input ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return nullptr;
  struct stat status {};
  if (!is_standard_input && fstat(descriptor, &status) == 0 && !S_ISREG(status.st_mode)) {
    close(descriptor);
    errno = S_ISDIR(status.st_mode) ? EISDIR : ENXIO;
    return nullptr;
  }
  return fdopen(descriptor, "rb");
}

// Appends the file to `text`, until it ends or is too long. Returns an errno, or 0.
int read_file(const std::string& path, std::string& text) {
  const std::unique_ptr<std::FILE, CloseFile> file(open_file(path));
  if (!file) return errno;
  std::array<char, 65536> block{};
  while (text.size() <= kMaxFileBytes) {
    const size_t length = std::fread(block.data(), 1, block.size(), file.get());
    if (length == 0) return std::ferror(file.get()) != 0 ? errno : 0;
    text.append(block.data(), length);
  }
  return 0;
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
  if (error != 0) {
    std::string problem = error == ENXIO ? "this is no regular file" : std::generic_category().message(error);
    return refuse(path, std::move(problem), remedy_for(error));
  }
  Result result = parse(text, path);
  if (content != nullptr) *content = std::move(text);
  return result;
}

}  // namespace nvmf::config
