// Writes lines of the log without waiting for who reads them: a reader that stands still must not keep the threads that
// serve hosts. One thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "target/backend/descriptor.h"

namespace nvmf::daemon {

// A terminal, a pipe, a socket or a file.
class LogOutput {
 public:
  // `descriptor` stays the caller's.
  explicit LogOutput(int descriptor);

  // False: the line was dropped, because the reader does not take it now, or is gone. A line of which a part was taken
  // is finished before the next one.
  bool write(std::string_view line);

 private:
  // Returns how many bytes were taken.
  size_t write_piece(std::string_view piece) const;
  void take_from(std::string& text) const;

  int descriptor_;
  backend::Descriptor terminal_;  // an own description of it
  std::string rest_{};            // of a line that was taken in part
};

// journald, by its native protocol.
class JournalOutput {
 public:
  explicit JournalOutput(const char* socket = "/run/systemd/journal/socket");

  // `fields`: "NAME=value", without line breaks. False: as above. A text that journald does not take in one message is
  // cut.
  bool write(std::vector<std::string> fields) const;

 private:
  bool send(const std::vector<std::string>& fields) const;

  std::string socket_;
  backend::Descriptor file_;
};

}  // namespace nvmf::daemon
