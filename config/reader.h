// Collects the mistakes while the trees of a config are read. It knows the path of the present value and the values
// before it.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/diagnostics.h"
#include "config/document.h"

namespace nvmf::config {

class Reader {
 public:
  explicit Reader(std::string file) : files_{std::move(file)} {}
  // The config file and its drop-ins: positions name them by their index.
  // `is_seen`: somebody can look at the files, so that messages name places in them.
  explicit Reader(std::vector<std::string> files, bool is_seen = true) : files_(std::move(files)), is_seen_(is_seen) {}

  // What is read from here on is in this file, and paths begin with its root.
  void begin_file(uint32_t file) { file_ = file; }
  const std::string& name_of_file(uint32_t file) const { return files_.at(file); }

  // Makes the path one step longer until it goes out of scope.
  class Step {
   public:
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { reader_.path_.resize(length_); }

   private:
    friend class Reader;
    Step(Reader& reader, size_t length) : reader_(reader), length_(length) {}
    Reader& reader_;
    size_t length_;  // Of the path before this step.
  };
  [[nodiscard]] Step into(std::string_view key);
  [[nodiscard]] Step into(size_t index);

  // About the value of the present path.
  void error(Position position, std::string problem, std::string remedy);
  void warning(Position position, std::string problem, std::string remedy);

  // About the member `key` of `object`, which is the value of the present path. Nothing when there is no such member.
  void error_at(const Value& object, std::string_view key, std::string problem, std::string remedy);
  void warning_at(const Value& object, std::string_view key, std::string problem, std::string remedy);
  // True where the object has no such key. See unique().
  bool unique_at(const Value& object, std::string_view key, std::string_view kind, std::string identity,
                 Severity severity = Severity::error);

  // About a place whose path the caller knows.
  void error_in(std::string path, Position position, std::string problem, std::string remedy);

  // «a text where an integer is expected».
  void wrong_type(const Value& value, std::string_view expected, std::string remedy);

  // Reports the present value if another of the same `kind` and `identity` came before; `kind` is a noun for the
  // message («NQN»). Returns whether there was none.
  bool unique(std::string_view kind, std::string identity, Position position, Severity severity = Severity::error,
              std::string_view remedy = "give each its own");

  // Whether a drop-in has a mistake, as far as they have been read.
  bool has_error_in_drop_in() const;

  const std::string& path() const { return path_; }
  // Of the present value: the same text for no other value of any file.
  std::string identity() const { return std::to_string(file_) + path_; }
  // Where `position` is, as seen from the present file: empty in this file, « of config.json:3:14» in another one.
  std::string elsewhere(Position position) const;
  // « in line 22» of the present file, when somebody can look at it.
  std::string in_line(Position position) const;

  // All diagnostics, sorted by file and position; beyond `limit` the last one says how many more there are.
  std::vector<Diagnostic> take_diagnostics(size_t limit);

 private:
  struct Seen {
    std::string path;
    Position position;
  };

  std::vector<std::string> files_;
  uint32_t file_ = 0;
  bool is_seen_ = true;
  std::string path_ = "$";
  std::vector<Diagnostic> diagnostics_;
  std::map<std::pair<std::string, std::string>, Seen> seen_;
};

}  // namespace nvmf::config
