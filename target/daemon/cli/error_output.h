// Standard error of a command: whatever names and paths of others are in a message, no control character reaches the
// terminal.
#pragma once

#include <iostream>
#include <streambuf>

namespace nvmf::cli {

// As long as this object lives, what is written to `stream` goes through config::printable_lines().
class PrintableOutput : public std::streambuf {
 public:
  explicit PrintableOutput(std::ostream& stream) : stream_(stream), below_(stream.rdbuf(this)) {}
  ~PrintableOutput() override { stream_.rdbuf(below_); }
  PrintableOutput(const PrintableOutput&) = delete;
  PrintableOutput& operator=(const PrintableOutput&) = delete;

 protected:
  std::streamsize xsputn(const char* text, std::streamsize length) override;
  int_type overflow(int_type c) override;
  int sync() override { return below_->pubsync(); }

 private:
  std::ostream& stream_;
  std::streambuf* below_;
};

}  // namespace nvmf::cli
