#include "target/daemon/cli/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <sstream>

namespace nvmf::cli {
namespace {

constexpr std::string_view kGap = "  ";
constexpr size_t kLeastColumn = 8;  // the least width of a column when the terminal is too narrow

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

// Bytes of the first `count` characters.
size_t bytes_of(std::string_view text, size_t count) {
  size_t at = 0;
  for (size_t characters = 0; at < text.size(); ++at)
    if (begins_character(text[at]) && characters++ == count) break;
  return at;
}

winsize terminal_size() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) size = {};
  return size;
}

template <class Number>
std::string formatted(const char* format, Number number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

// With three significant digits.
std::string three_digits(double value) {
  return formatted(value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value);
}

}  // namespace

size_t terminal_columns() {
  const winsize size = terminal_size();
  return size.ws_col == 0 && isatty(STDOUT_FILENO) != 0 ? 80 : size.ws_col;
}

size_t terminal_lines() {
  const winsize size = terminal_size();
  return size.ws_row == 0 ? 24 : size.ws_row;
}

size_t length_of(std::string_view text) { return static_cast<size_t>(std::ranges::count_if(text, begins_character)); }

std::string shortened(std::string_view text, size_t columns) {
  const size_t length = length_of(text);
  if (length <= columns) return std::string(text);
  if (columns <= 1) return columns == 0 ? "" : "…";
  const size_t tail = (columns - 1) / 2;
  const size_t head = columns - 1 - tail;
  return std::string(text.substr(0, bytes_of(text, head))) + "…" +
         std::string(text.substr(bytes_of(text, length - tail)));
}

std::string paragraph(std::string_view lead, std::string_view text, size_t columns) {
  if (columns == 0) return std::string(lead) + std::string(text) + '\n';
  const std::string indent(length_of(lead), ' ');
  std::istringstream words{std::string(text)};
  std::string lines;
  std::string line(lead);
  for (std::string word, gap; words >> word; gap = " ") {
    if (!gap.empty() && length_of(line) + 1 + length_of(word) > columns) {
      lines += line + '\n';
      line = indent;
      gap.clear();
    }
    line += gap + word;
  }
  return lines + line + '\n';
}

std::vector<size_t> Table::widths(size_t width) const {
  std::vector<size_t> widths;
  for (size_t column = 0; column < columns_.size(); ++column) {
    size_t widest = length_of(columns_[column].head);
    for (const auto& row : rows_) widest = std::max(widest, length_of(row[column]));
    widths.push_back(widest);
  }
  const auto total = [&] { return std::accumulate(widths.begin(), widths.end(), kGap.size() * (widths.size() - 1)); };
  while (width != 0 && total() > width) {
    const auto widest = std::ranges::max_element(widths);
    if (*widest <= kLeastColumn) break;
    --*widest;
  }
  return widths;
}

std::string Table::line(const std::vector<std::string>& row, const std::vector<size_t>& widths) const {
  std::string line;
  for (size_t column = 0; column < row.size(); ++column) {
    const std::string cell = shortened(row[column], widths[column]);
    const std::string padding(widths[column] - length_of(cell), ' ');
    line += column == 0 ? "" : kGap;
    line += columns_[column].align == Align::Right ? padding + cell : cell + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

std::string Table::text(size_t width) const {
  const std::vector<size_t> fitting = widths(width);
  std::vector<std::string> head;
  for (const Column& column : columns_) head.push_back(column.head);
  std::string text = line(head, fitting);
  for (const auto& row : rows_) text += line(row, fitting);
  return text;
}

std::string bytes_text(uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  const bool whole = unit == 0 || value == std::floor(value);
  return (whole ? formatted("%.0f", value) : three_digits(value)) + " " + kUnits[unit];
}

std::string count_text(double count) {
  constexpr std::array<const char*, 5> kUnits = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  for (; count >= 1000 && unit + 1 < kUnits.size(); ++unit) count /= 1000;
  return (unit == 0 ? formatted("%.0f", count) : three_digits(count)) + kUnits[unit];
}

std::string time_text(double ns) {
  constexpr std::array<const char*, 4> kUnits = {"ns", "us", "ms", "s"};
  size_t unit = 0;
  for (; ns >= 1000 && unit + 1 < kUnits.size(); ++unit) ns /= 1000;
  return (unit == 0 ? formatted("%.0f", ns) : three_digits(ns)) + " " + kUnits[unit];
}

std::string duration_text(uint64_t seconds) {
  struct Unit {
    uint64_t seconds;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits = {{{86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}}};
  for (size_t i = 0; i + 1 < kUnits.size(); ++i) {
    if (seconds < kUnits[i].seconds) continue;
    const uint64_t rest = seconds % kUnits[i].seconds / kUnits[i + 1].seconds;
    return std::to_string(seconds / kUnits[i].seconds) + kUnits[i].name +
           (rest == 0 ? "" : " " + std::to_string(rest) + kUnits[i + 1].name);
  }
  return std::to_string(seconds) + " s";
}

std::string sparkline(const std::vector<double>& values, size_t columns) {
  constexpr std::array<const char*, 8> kHeights = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const size_t first = values.size() > columns ? values.size() - columns : 0;
  double most = 0;
  for (size_t i = first; i < values.size(); ++i) most = std::max(most, values[i]);
  std::string line;
  for (size_t i = first; i < values.size(); ++i) {
    const double share = most == 0 ? 0 : values[i] / most;
    line += kHeights[static_cast<size_t>(std::lround(share * (kHeights.size() - 1)))];
  }
  return line;
}

}  // namespace nvmf::cli
