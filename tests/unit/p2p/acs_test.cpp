// What turns ACS redirection off.
#include "p2p/acs.h"

#include <doctest/doctest.h>

namespace nvmf::p2p::test {
namespace {

PairReport redirected_by(const std::vector<std::string>& functions) {
  PairReport pair;
  pair.path.emplace();
  pair.path->kind = PathKind::Redirected;
  pair.path->redirecting = functions;
  return pair;
}

TEST_CASE("Each redirecting function of any pair once") {
  Report report;
  report.pairs = {redirected_by({"0000:22:01.0", "0000:22:00.0"}), redirected_by({"0000:22:02.0", "0000:22:00.0"}), {}};
  CHECK(redirecting_functions(report) == std::vector<std::string>{"0000:22:00.0", "0000:22:01.0", "0000:22:02.0"});
  const std::string text = render(report, 80);
  CHECK(text.find("\n    pci=disable_acs_redir=0000:22:00.0;0000:22:01.0;0000:22:02.0\n") != std::string::npos);
  CHECK(text.find("\n    setpci -s 0000:22:01.0 ECAP_ACS+6.w=0:2c\n") != std::string::npos);
  CHECK(to_json(report).find("\"setpci -s 0000:22:02.0 ECAP_ACS+6.w=0:2c\"") != std::string::npos);
}

TEST_CASE("Without redirection there is nothing to turn off") {
  Report report;
  report.pairs = {redirected_by({})};
  CHECK(redirecting_functions(report).empty());
  CHECK(render(report, 80).find("turns ACS") == std::string::npos);
}

TEST_CASE("A drop-in keeps what the command line has, and its semicolons from GRUB") {
  const std::string text = grub_drop_in({"0000:22:00.0", "0000:22:01.0"});
  CHECK(text.starts_with(kGrubDropInMark));
  CHECK(
      text.ends_with("\nGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT "
                     "'pci=disable_acs_redir=0000:22:00.0;0000:22:01.0'\"\n"));
}

}  // namespace
}  // namespace nvmf::p2p::test
