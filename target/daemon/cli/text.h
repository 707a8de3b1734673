// Text for terminals: tables that fit, quantities that people read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace nvmf::cli {

// Columns of the terminal that standard output goes to; 0: standard output is not a terminal, lines may have any
// length.
size_t terminal_columns();
size_t terminal_lines();

// An answer of the daemon with all its texts as people may see them: config::printable().
nlohmann::ordered_json printable(const nlohmann::ordered_json& answer);

// Columns that a UTF-8 text takes on a terminal: a CJK character takes two, a combining one none.
size_t length_of(std::string_view text);
// At most `columns` columns: a longer text loses its middle, because NQNs differ at their end.
std::string shortened(std::string_view text, size_t columns);

// `text` broken at blanks into lines of at most `columns` characters (0: one line), the first behind `lead`, the others
// under its beginning; a word that is longer stays whole.
std::string paragraph(std::string_view lead, std::string_view text, size_t columns);

class Table {
 public:
  enum class Align : uint8_t { Left, Right };
  struct Column {
    std::string head;
    Align align = Align::Left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }

  // Lines of at most `width` characters, the widest columns shortened until they fit; 0: lines of any length.
  std::string text(size_t width) const;

 private:
  std::vector<size_t> widths(size_t width) const;
  std::string line(const std::vector<std::string>& row, const std::vector<size_t>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "1.5 GiB"
std::string bytes_text(uint64_t bytes);
// "12.3k"
std::string count_text(double count);
// "87 us"
std::string time_text(double ns);
// "2026-11-29 20:15:01.250", in the local time zone.
std::string time_of_day_text(int64_t ms_since_1970);
// "2 d 3 h"
std::string duration_text(uint64_t seconds);
// A line of eight heights, the largest value the highest: the last `columns` values.
std::string sparkline(const std::vector<double>& values, size_t columns);

}  // namespace nvmf::cli
