#include "target/daemon/event_stream.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <nlohmann/json.hpp>

#include "config/printable.h"

namespace nvmf::daemon {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(core::Severity severity) {
  switch (severity) {
    case core::Severity::Info:
      return "info";
    case core::Severity::Warning:
      return "warning";
    case core::Severity::Error:
      return "error";
  }
  return "?";
}

int64_t now_ms() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
}

// `id`: empty: none.
std::string event_text(const std::string& id, const char* kind, const Json& data) {
  const std::string line = data.dump(-1, ' ', false, Json::error_handler_t::replace);
  return (id.empty() ? "" : "id: " + id + "\n") + "event: " + kind + "\ndata: " + line + "\n\n";
}

}  // namespace

void EventStream::add(const core::Event& event) {
  const Json data = {{"time_ms", now_ms()},
                     {"kind", core::name_of(event.kind)},
                     {"severity", name_of(event.severity)},
                     {"message", config::printable(event.message.substr(0, kMostMessageBytes))},
                     {"subsystem", event.subsystem},
                     {"host", event.host}};
  ring_.push_back(event_text(id_of(end()), core::name_of(event.kind), data));
  if (ring_.size() > kRing) {
    ring_.pop_front();
    ++first_;
  }
  for (boost::asio::steady_timer* const timer : waiting_) timer->cancel();
}

EventStream::Reader EventStream::reader(const std::optional<std::string>& last_event_id, bool past) const {
  if (!last_event_id) return {.next = past ? first_ : end()};
  const std::string prefix = start_ + '-';
  uint64_t last = 0;
  const char* const begin = last_event_id->data() + std::min(prefix.size(), last_event_id->size());
  const char* const behind = last_event_id->data() + last_event_id->size();
  const auto [read, fault] = std::from_chars(begin, behind, last);
  const bool is_known = last_event_id->starts_with(prefix) && fault == std::errc{} && read == behind &&
                        last + 1 >= first_ && last < end();
  return {.next = is_known ? last + 1 : first_, .resumes = true, .lost = !is_known};
}

std::string EventStream::note(const char* kind, const std::string& message) const {
  return event_text("", kind,
                    {{"time_ms", now_ms()},
                     {"kind", kind},
                     {"severity", "warning"},
                     {"message", message},
                     {"subsystem", ""},
                     {"host", ""}});
}

std::string EventStream::collect(Reader& reader) const {
  // What goes before the client's first part it has not been too slow for.
  if (reader.next < first_ && !reader.begun) {
    reader.lost |= reader.resumes;
    reader.next = first_;
  }
  reader.begun = true;
  if (reader.next < first_) {
    reader.over = true;
    return note("cut",
                "this client is too slow: events that it has not received are no longer kept, so the stream ends; "
                "connect again");
  }
  std::string text;
  if (std::exchange(reader.lost, false))
    text += note("lost", "events before the following ones are no longer kept, or are of a daemon that has ended");
  const uint64_t until = std::min(end(), reader.next + kMostEventsPerPart);
  for (; reader.next < until; ++reader.next) text += ring_[reader.next - first_];
  return text;
}

boost::asio::awaitable<std::string> EventStream::next(Reader& reader) {
  if (reader.over) co_return "";
  if (std::string text = collect(reader); !text.empty()) co_return text;
  boost::asio::steady_timer news(co_await boost::asio::this_coro::executor, kHeartbeat);
  waiting_.insert(&news);
  boost::system::error_code woken;
  co_await news.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, woken));
  waiting_.erase(&news);
  std::string text = collect(reader);
  co_return text.empty() ? ": nothing new\n\n" : text;
}

}  // namespace nvmf::daemon
