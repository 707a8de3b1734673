#include "target/daemon/mdns.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <system_error>

namespace nvmf::daemon {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

constexpr std::chrono::seconds kRetry{10};
constexpr size_t kMaxNameBytes = 63;  // a DNS label

constexpr char kAvahi[] = "org.freedesktop.Avahi";
constexpr char kServer[] = "org.freedesktop.Avahi.Server";
constexpr char kEntryGroup[] = "org.freedesktop.Avahi.EntryGroup";
// Avahi's own numbers.
constexpr int32_t kAnyInterface = -1;
constexpr int32_t kIpv4 = 0;
constexpr int32_t kIpv6 = 1;

// The address in network byte order, of either family; empty when the text is not an address.
std::string packed(int family, const void* address) {
  return {static_cast<const char*>(address), family == AF_INET6 ? sizeof(in6_addr) : sizeof(in_addr)};
}

std::string packed(const MdnsService& service) {
  in6_addr address{};
  const int family = service.ipv6 ? AF_INET6 : AF_INET;
  return inet_pton(family, service.address.c_str(), &address) == 1 ? packed(family, &address) : std::string();
}

std::string packed(const sockaddr& address) {
  if (address.sa_family == AF_INET) return packed(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  if (address.sa_family == AF_INET6) return packed(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
  return {};
}

// The network interface with the service's address: the service is announced only to hosts that can reach it.
int32_t interface_of(const MdnsService& service) {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return kAnyInterface;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(all, &freeifaddrs);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || packed(*one->ifa_addr) != packed(service)) continue;
    return static_cast<int32_t>(if_nametoindex(one->ifa_name));
  }
  return kAnyInterface;
}

int append_text(sd_bus_message* message, const std::vector<std::string>& text) {
  int result = sd_bus_message_open_container(message, 'a', "ay");
  for (const std::string& entry : text) {
    if (result >= 0) result = sd_bus_message_append_array(message, 'y', entry.data(), entry.size());
  }
  return result >= 0 ? sd_bus_message_close_container(message) : result;
}

struct UnrefMessage {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using BusMessage = std::unique_ptr<sd_bus_message, UnrefMessage>;

std::string words_of(const sd_bus_error& error) { return error.message != nullptr ? error.message : error.name; }

}  // namespace

std::vector<MdnsService> mdns_services(const std::vector<core::Port>& ports, const std::string& discovery_nqn,
                                       const std::string& host_name) {
  std::vector<MdnsService> services;
  const auto add = [&](const core::Port& port, const std::string& address) {
    const std::string suffix = " port " + std::to_string(port.id) + (port.wildcard ? ' ' + address : "");
    const std::string prefix = "NVMe discovery " + host_name;
    services.push_back({.name = prefix.substr(0, kMaxNameBytes - suffix.size()) + suffix,
                        .address = address,
                        .ipv6 = port.ipv6,
                        .service = port.service,
                        .text = {"p=rdma", "NQN=" + discovery_nqn}});
  };
  for (const core::Port& port : ports) {
    if (!port.wildcard) add(port, port.address);
    for (const std::string& address : port.heard) add(port, address);
  }
  return services;
}

MdnsAnnouncer::MdnsAnnouncer(boost::asio::io_context& io, std::vector<MdnsService> services)
    : services_(std::move(services)), bus_events_(io), timeout_timer_(io), retry_timer_(io) {
  connect();
}

MdnsAnnouncer::~MdnsAnnouncer() {
  if (bus_events_.is_open()) bus_events_.release();
}

void MdnsAnnouncer::connect() {
  sd_bus* bus = nullptr;
  int error = sd_bus_open_system(&bus);
  bus_.reset(bus);
  if (error >= 0) error = subscribe();
  if (error >= 0) error = ask_for_group();
  if (error < 0) return lose_bus(-error);
  bus_events_.assign(sd_bus_get_fd(bus_.get()));
  process();
}

// Avahi may end and start again, and then has forgotten everything.
int MdnsAnnouncer::subscribe() {
  constexpr char kRule[] =
      "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
      "member='NameOwnerChanged',arg0='org.freedesktop.Avahi'";
  return sd_bus_add_match_async(bus_.get(), nullptr, kRule, &on_owner_changed, nullptr, this);
}

int MdnsAnnouncer::on_owner_changed(sd_bus_message* message, void* self, sd_bus_error*) {
  const char* name = nullptr;
  const char* before = nullptr;
  const char* now = nullptr;
  if (sd_bus_message_read(message, "sss", &name, &before, &now) < 0) return 0;
  auto& announcer = *static_cast<MdnsAnnouncer*>(self);
  if (*now != '\0') return announcer.ask_for_group();
  announcer.complain("the Avahi daemon has ended");
  return 0;
}

int MdnsAnnouncer::ask_for_group() {
  return sd_bus_call_method_async(bus_.get(), nullptr, kAvahi, "/", kServer, "EntryGroupNew", &on_group, this, "");
}

int MdnsAnnouncer::on_group(sd_bus_message* reply, void* self, sd_bus_error*) {
  auto& announcer = *static_cast<MdnsAnnouncer*>(self);
  if (const sd_bus_error* error = sd_bus_message_get_error(reply)) {
    announcer.complain("the Avahi daemon does not answer (" + words_of(*error) + ")");
    return 0;
  }
  const char* group = nullptr;
  const int result = sd_bus_message_read(reply, "o", &group);
  return result < 0 ? result : announcer.fill_group(group);
}

// Avahi processes the calls in this order.
int MdnsAnnouncer::fill_group(const char* group) {
  int result = 0;
  for (const MdnsService& service : services_) {
    if (result >= 0) result = add_service(group, service);
  }
  if (result < 0) return result;
  return sd_bus_call_method_async(bus_.get(), nullptr, kAvahi, group, kEntryGroup, "Commit", &on_committed, this, "");
}

int MdnsAnnouncer::add_service(const char* group, const MdnsService& service) {
  sd_bus_message* call = nullptr;
  int result = sd_bus_message_new_method_call(bus_.get(), &call, kAvahi, group, kEntryGroup, "AddService");
  const BusMessage owner(call);
  // Interface, protocol, flags, name, type, domain and host (Avahi's own), port.
  if (result >= 0)
    result = sd_bus_message_append(call, "iiussssq", interface_of(service), service.ipv6 ? kIpv6 : kIpv4, 0U,
                                   service.name.c_str(), MdnsService::kType, "", "", service.service);
  if (result >= 0) result = append_text(call, service.text);
  return result >= 0 ? sd_bus_call_async(bus_.get(), nullptr, call, &on_added, this, 0) : result;
}

int MdnsAnnouncer::on_added(sd_bus_message* reply, void*, sd_bus_error*) {
  if (const sd_bus_error* error = sd_bus_message_get_error(reply))
    spdlog::warn("mDNS: Avahi does not announce a port: {}", words_of(*error));
  return 0;
}

int MdnsAnnouncer::on_committed(sd_bus_message* reply, void* self, sd_bus_error*) {
  auto& announcer = *static_cast<MdnsAnnouncer*>(self);
  if (const sd_bus_error* error = sd_bus_message_get_error(reply)) {
    spdlog::warn("mDNS: Avahi does not announce the discovery service: {}", words_of(*error));
    return 0;
  }
  announcer.complained_ = false;
  spdlog::info("mDNS: announcing the discovery service ({}) on {} ports", MdnsService::kType,
               announcer.services_.size());
  return 0;
}

void MdnsAnnouncer::process() {
  int result = 0;
  do result = sd_bus_process(bus_.get(), nullptr);
  while (result > 0);
  if (result < 0) return lose_bus(-result);
  await_timeout();
  bus_events_.cancel();  // of the wait before, when the timer or a call came first
  const bool has_more_to_say = (sd_bus_get_events(bus_.get()) & POLLOUT) != 0;
  bus_events_.async_wait(has_more_to_say ? Descriptor::wait_write : Descriptor::wait_read,
                         [this](const boost::system::error_code& error) {
                           if (!error) process();
                         });
}

// The bus gives up a call without answer, and tells its handler, only when it is asked to process at that time.
void MdnsAnnouncer::await_timeout() {
  uint64_t until_us = 0;
  if (sd_bus_get_timeout(bus_.get(), &until_us) < 0 || until_us == UINT64_MAX) {
    timeout_timer_.cancel();
    return;
  }
  timeout_timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::microseconds(until_us)));
  timeout_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) process();
  });
}

void MdnsAnnouncer::lose_bus(int error) {
  timeout_timer_.cancel();
  complain("no D-Bus system bus (" + std::generic_category().message(error) + ")");
  if (bus_events_.is_open()) bus_events_.release();
  bus_.reset();
  retry_timer_.expires_after(kRetry);
  retry_timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (!cancelled) connect();
  });
}

void MdnsAnnouncer::complain(const std::string& problem) {
  if (!complained_)
    spdlog::warn(
        "mDNS: {}: the discovery service is not announced; start dbus and avahi-daemon, or write \"mdns\": false",
        problem);
  complained_ = true;
}

}  // namespace nvmf::daemon
