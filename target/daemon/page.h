// The page of the metrics address, page.html: the build embeds it (embed_page.cmake).
#pragma once

#include <string_view>

namespace nvmf::daemon {

extern const std::string_view kPage;
// The Content-Security-Policy (CSP Level 3) under which it runs: its own script and style, by their hashes, may ask its
// own server, and nothing else.
extern const std::string_view kPagePolicy;

}  // namespace nvmf::daemon
