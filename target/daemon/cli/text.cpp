#include "target/daemon/cli/text.h"

#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <cwchar>
#include <numeric>
#include <sstream>

#include "config/printable.h"

namespace nvmf::cli {
namespace {

constexpr std::string_view kGap = "  ";
constexpr size_t kLeastColumn = 8;  // the least width of a column when the terminal is too narrow

// wcwidth() knows characters beyond ASCII only in a locale of UTF-8.
class Utf8Locale {
 public:
  Utf8Locale() : before_(uselocale(utf8())) {}
  ~Utf8Locale() { uselocale(before_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t utf8() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
  }
  locale_t before_;
};

// Columns of a character on a terminal; 1 of one that is not known.
size_t columns_of(const config::Character& character) {
  if (character.code < 0x80) return 1;
  const int columns = wcwidth(static_cast<wchar_t>(character.code));
  return columns < 0 ? 1 : static_cast<size_t>(columns);
}

// The first characters of `text`, as many as fit into `columns`.
std::string_view head_of(std::string_view text, size_t columns) {
  const Utf8Locale locale;
  size_t end = 0;
  for (size_t used = 0; end < text.size();) {
    const config::Character character = config::first_character(text.substr(end));
    used += columns_of(character);
    if (used > columns) break;
    end += character.bytes.size();
  }
  return text.substr(0, end);
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

size_t length_of(std::string_view text) {
  const Utf8Locale locale;
  size_t columns = 0;
  while (!text.empty()) {
    const config::Character character = config::first_character(text);
    columns += columns_of(character);
    text.remove_prefix(character.bytes.size());
  }
  return columns;
}

std::string shortened(std::string_view text, size_t columns) {
  const size_t length = length_of(text);
  if (length <= columns) return std::string(text);
  if (columns <= 1) return columns == 0 ? "" : "…";
  const size_t tail_columns = (columns - 1) / 2;
  const std::string_view head = head_of(text, columns - 1 - tail_columns);
  std::string_view tail = text;
  while (length_of(tail) > tail_columns) tail.remove_prefix(config::first_character(tail).bytes.size());
  return std::string(head) + "…" + std::string(tail);
}

nlohmann::ordered_json printable(const nlohmann::ordered_json& answer) {
  using Json = nlohmann::ordered_json;
  if (answer.is_string()) return config::printable(answer.get<std::string>());
  if (!answer.is_structured()) return answer;
  Json shown = answer.is_object() ? Json::object() : Json::array();
  for (const auto& [key, value] : answer.items()) {
    if (answer.is_object())
      shown[config::printable(key)] = printable(value);
    else
      shown.push_back(printable(value));
  }
  return shown;
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

std::string time_of_day_text(int64_t ms_since_1970) {
  const std::time_t seconds = ms_since_1970 / 1'000;
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  std::string fraction = std::to_string(ms_since_1970 % 1'000);
  fraction.insert(0, 3 - std::min<size_t>(3, fraction.size()), '0');
  return std::string(text.data(), length) + '.' + fraction;
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
