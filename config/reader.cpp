#include "config/reader.h"

#include <algorithm>
#include <tuple>

#include "config/wording.h"

namespace nvmf::config {
namespace {

bool by_position(const Diagnostic& a, const Diagnostic& b) {
  return std::tie(a.position, a.severity) < std::tie(b.position, b.severity);
}

bool is_error(const Diagnostic& diagnostic) { return diagnostic.severity == Severity::error; }

// Replaces the diagnostics beyond `limit` by one line.
void cut(std::vector<Diagnostic>& all, size_t limit) {
  if (all.size() <= limit) return;
  const size_t more = all.size() - limit;
  const bool hides_error = std::any_of(all.begin() + static_cast<std::ptrdiff_t>(limit), all.end(), is_error);
  Diagnostic last = std::move(all[limit]);
  last.severity = hides_error ? Severity::error : Severity::warning;
  last.path.clear();
  last.problem = "" + std::to_string(more) + " more mistakes follow";
  last.remedy = "fix those above first";
  all.resize(limit);
  all.push_back(std::move(last));
}

}  // namespace

Reader::Step Reader::into(std::string_view key) {
  const size_t length = path_.size();
  append_key(path_, key);
  return {*this, length};
}

Reader::Step Reader::into(size_t index) {
  const size_t length = path_.size();
  append_index(path_, index);
  return {*this, length};
}

void Reader::error(Position position, std::string problem, std::string remedy) {
  error_in(path_, position, std::move(problem), std::move(remedy));
}

void Reader::warning(Position position, std::string problem, std::string remedy) {
  diagnostics_.push_back(
      {Severity::warning, name_of_file(position.file), position, path_, std::move(problem), std::move(remedy)});
}

void Reader::error_at(const Value& object, std::string_view key, std::string problem, std::string remedy) {
  const Value* member = object.find(key);
  if (member == nullptr) return;
  const auto step = into(key);
  error(member->position, std::move(problem), std::move(remedy));
}

void Reader::warning_at(const Value& object, std::string_view key, std::string problem, std::string remedy) {
  const Value* member = object.find(key);
  if (member == nullptr) return;
  const auto step = into(key);
  warning(member->position, std::move(problem), std::move(remedy));
}

bool Reader::unique_at(const Value& object, std::string_view key, std::string_view kind, std::string identity,
                       Severity severity) {
  const Value* member = object.find(key);
  if (member == nullptr) return true;
  const auto step = into(key);
  return unique(kind, std::move(identity), member->position, severity);
}

bool Reader::has_error_in_drop_in() const {
  return std::ranges::any_of(diagnostics_,
                             [](const Diagnostic& one) { return is_error(one) && one.position.file != 0; });
}

void Reader::error_in(std::string path, Position position, std::string problem, std::string remedy) {
  diagnostics_.push_back(
      {Severity::error, name_of_file(position.file), position, std::move(path), std::move(problem), std::move(remedy)});
}

void Reader::wrong_type(const Value& value, std::string_view expected, std::string remedy) {
  error(value.position, std::string(value.type_name()) + " where " + std::string(expected) + " is expected",
        std::move(remedy));
}

bool Reader::unique(std::string_view kind, std::string identity, Position position, Severity severity,
                    std::string_view remedy) {
  const auto [before, is_new] = seen_.try_emplace({std::string(kind), std::move(identity)}, Seen{path_, position});
  if (is_new) return true;
  const Seen& first = before->second;
  const bool is_here = first.position.file == file_;
  std::string problem = "the same " + std::string(kind) + " as " + first.path +
                        (is_here ? in_line(first.position) : elsewhere(first.position));
  diagnostics_.push_back(
      {severity, name_of_file(position.file), position, path_, std::move(problem), std::string(remedy)});
  return false;
}

std::string Reader::elsewhere(Position position) const {
  return position.file == file_ ? "" : " of " + location(name_of_file(position.file), position);
}

std::string Reader::in_line(Position position) const {
  return is_seen_ ? " in line " + std::to_string(position.line) : "";
}

std::vector<Diagnostic> Reader::take_diagnostics(size_t limit) {
  std::ranges::stable_sort(diagnostics_, by_position);
  cut(diagnostics_, limit);
  return std::move(diagnostics_);
}

}  // namespace nvmf::config
