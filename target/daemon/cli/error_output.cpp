#include "target/daemon/cli/error_output.h"

#include <string>
#include <string_view>

#include "config/printable.h"

namespace nvmf::cli {

std::streamsize PrintableOutput::xsputn(const char* text, std::streamsize length) {
  const std::string shown = config::printable_lines({text, static_cast<size_t>(length)});
  const auto size = static_cast<std::streamsize>(shown.size());
  return below_->sputn(shown.data(), size) == size ? length : 0;
}

PrintableOutput::int_type PrintableOutput::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char one = traits_type::to_char_type(c);
  return xsputn(&one, 1) == 1 ? c : traits_type::eof();
}

}  // namespace nvmf::cli
