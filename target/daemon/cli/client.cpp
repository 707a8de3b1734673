#include "target/daemon/cli/client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <filesystem>
#include <limits>

namespace nvmf::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Socket = asio::local::stream_protocol::socket;

std::string remedy_for(const std::string& socket, const boost::system::error_code& error) {
  using namespace boost::system::errc;
  std::error_code ignored;
  if (error == connection_refused && !std::filesystem::is_socket(socket, ignored))
    return "it is not a socket: give the daemon's with --socket";
  if (error == no_such_file_or_directory || error == connection_refused)
    return "no daemon listens there: start one (nvmf-p2p run -c FILE), or give its socket with --socket";
  if (error == permission_denied)
    return "you may not connect: become root, or set \"owner\" or \"group\" of \"admin\" in the config, or "
           "\"read_only_group\" for the read-only socket, to your user or group";
  if (error == timed_out) return "it does not answer: see its log (journalctl -u nvmf-p2p)";
  return "check that this is the daemon's admin socket";
}

[[noreturn]] void fail(const std::string& socket, const boost::system::error_code& error) {
  throw ClientError("cannot reach the daemon on " + socket + ": " + error.message() + "; " + remedy_for(socket, error));
}

void check(const std::string& socket, const boost::system::error_code& error) {
  if (error) fail(socket, error);
}

asio::local::stream_protocol::endpoint endpoint_of(const std::string& path) {
  if (path.size() > 107) throw ClientError("a UNIX socket's path has at most 107 bytes: " + path);
  return {path};
}

Socket connect(asio::io_context& io, const std::string& path) {
  Socket socket(io);
  boost::system::error_code error;
  socket.connect(endpoint_of(path), error);
  check(path, error);
  return socket;
}

http::request<http::string_body> request_for(const std::string& method, const std::string& target,
                                             const std::string& body) {
  http::request<http::string_body> request(http::string_to_verb(method), target, 11, body);
  request.set(http::field::host, "localhost");
  request.keep_alive(false);
  request.prepare_payload();
  return request;
}

using Parser = http::response_parser<http::string_body>;

// With `patience`, for so long at most. (Asio's blocking calls cannot be given up.) A daemon that refuses a request may
// close before it has read all of it: its answer says why.
boost::system::error_code exchange(const std::string& path, const http::request<http::string_body>& request,
                                   const std::optional<std::chrono::milliseconds>& patience, Parser& parser) {
  asio::io_context io;
  boost::beast::flat_buffer buffer;
  Socket socket(io);
  boost::system::error_code result = asio::error::timed_out;
  boost::system::error_code unsent;
  const auto received = [&](const boost::system::error_code& error, size_t) {
    result = error && unsent ? unsent : error;
  };
  const auto sent = [&](const boost::system::error_code& error, size_t) {
    unsent = error;
    http::async_read(socket, buffer, parser, received);
  };
  socket.async_connect(endpoint_of(path), [&](const boost::system::error_code& error) {
    result = error;
    if (!error) http::async_write(socket, request, sent);
  });
  if (patience)
    io.run_for(*patience);
  else
    io.run();
  return result;
}

Reply reply_of(const std::string& socket, unsigned status, const std::string& body) {
  Reply reply{.status = status, .body = {}};
  if (!body.empty()) reply.body = nlohmann::ordered_json::parse(body, nullptr, false);
  if (reply.body.is_discarded())
    throw ClientError("the program that answers on " + socket + " is not an nvmf-p2p daemon");
  return reply;
}

// Takes the whole lines off the beginning of `text`. False: `take` wants no more.
bool take_lines(std::string& text, const std::function<bool(const std::string& line)>& take) {
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
    const std::string line = text.substr(0, end);
    text.erase(0, end + 1);
    if (!take(line)) return false;
  }
  return true;
}

}  // namespace

Reply Client::ask(const std::string& method, const std::string& target, const std::string& body) const {
  Parser parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());
  const auto patience = patience_ || method != "GET" ? patience_ : std::chrono::milliseconds(kPatience);
  check(socket_, exchange(socket_, request_for(method, target, body), patience, parser));
  return reply_of(socket_, parser.get().result_int(), parser.get().body());
}

Reply Client::follow(const std::string& target, const std::function<bool(const std::string& line)>& take) const {
  asio::io_context io;
  Socket socket = connect(io, socket_);
  boost::system::error_code error;
  boost::system::error_code unsent;  // as in exchange()
  http::write(socket, request_for("GET", target, ""), unsent);
  boost::beast::flat_buffer buffer;
  Parser parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());
  http::read_header(socket, buffer, parser, error);
  check(socket_, error && unsent ? unsent : error);
  const unsigned status = parser.get().result_int();
  while (!parser.is_done()) {
    http::read_some(socket, buffer, parser, error);
    if (error) break;  // the daemon has ended
    if (status < 300 && !take_lines(parser.get().body(), take)) return {};
  }
  return reply_of(socket_, status, status < 300 ? "" : parser.get().body());
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
