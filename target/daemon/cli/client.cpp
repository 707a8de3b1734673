#include "target/daemon/cli/client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <limits>

namespace nvmf::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Socket = asio::local::stream_protocol::socket;

std::string remedy_for(const boost::system::error_code& error) {
  using namespace boost::system::errc;
  if (error == no_such_file_or_directory || error == connection_refused)
    return "no daemon listens there: start one (nvmf-p2p run -c FILE), or give its socket with --socket";
  if (error == permission_denied)
    return "you may not connect: become root, or set \"owner\" or \"group\" of \"admin\" in the config to your user or "
           "group";
  return "check that this is the daemon's admin socket";
}

[[noreturn]] void fail(const std::string& socket, const boost::system::error_code& error) {
  throw ClientError("cannot reach the daemon on " + socket + ": " + error.message() + "; " + remedy_for(error));
}

void check(const std::string& socket, const boost::system::error_code& error) {
  if (error) fail(socket, error);
}

}  // namespace

Reply Client::ask(const std::string& method, const std::string& target, const std::string& body) const {
  if (socket_.size() > 107) throw ClientError("a UNIX socket's path has at most 107 bytes: " + socket_);
  asio::io_context io;
  Socket socket(io);
  boost::system::error_code error;
  socket.connect(asio::local::stream_protocol::endpoint(socket_), error);
  check(socket_, error);
  http::request<http::string_body> request(http::string_to_verb(method), target, 11, body);
  request.set(http::field::host, "localhost");
  request.keep_alive(false);
  request.prepare_payload();
  boost::system::error_code unsent;
  http::write(socket, request, unsent);
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());
  // A daemon that refuses a request may close before it has read all of it: its answer says why.
  http::read(socket, buffer, parser, error);
  if (error && unsent) fail(socket_, unsent);
  check(socket_, error);
  Reply reply{.status = parser.get().result_int(), .body = {}};
  if (!parser.get().body().empty()) reply.body = nlohmann::ordered_json::parse(parser.get().body(), nullptr, false);
  if (reply.body.is_discarded())
    throw ClientError("the program that answers on " + socket_ + " is not an nvmf-p2p daemon");
  return reply;
}

std::string percent_encoded(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return encoded;
}

}  // namespace nvmf::cli
