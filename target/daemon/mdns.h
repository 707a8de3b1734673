// Announces the discovery service by multicast DNS (TP8009), through the Avahi daemon's D-Bus API: hosts that look for
// _nvme-disc._tcp find it without being told an address. Control thread.
#pragma once

#include <systemd/sd-bus.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "target/core/subsystem/target.h"

namespace nvmf::daemon {

// One announced port.
struct MdnsService {
  static constexpr char kType[] = "_nvme-disc._tcp";

  std::string name;  // name of the instance, at most 63 bytes
  std::string address;
  bool ipv6 = false;
  uint16_t service = 0;
  std::vector<std::string> text;  // TXT record
};

std::vector<MdnsService> mdns_services(const std::vector<core::Port>& ports, const std::string& discovery_nqn,
                                       const std::string& host_name);

// Announces the service until destruction. When the system bus or Avahi is missing, it logs that once, and announces
// when they appear.
class MdnsAnnouncer {
 public:
  MdnsAnnouncer(boost::asio::io_context& io, std::vector<MdnsService> services);
  ~MdnsAnnouncer();
  MdnsAnnouncer(const MdnsAnnouncer&) = delete;
  MdnsAnnouncer& operator=(const MdnsAnnouncer&) = delete;

 private:
  struct CloseBus {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  };

  static int on_owner_changed(sd_bus_message* message, void* self, sd_bus_error*);
  static int on_group(sd_bus_message* reply, void* self, sd_bus_error*);
  static int on_added(sd_bus_message* reply, void* self, sd_bus_error*);
  static int on_committed(sd_bus_message* reply, void* self, sd_bus_error*);

  void connect();
  int subscribe();
  int ask_for_group();
  int fill_group(const char* group);
  int add_service(const char* group, const MdnsService& service);
  void process();
  void await_timeout();
  void lose_bus(int error);
  void complain(const std::string& problem);

  std::vector<MdnsService> services_;
  std::unique_ptr<sd_bus, CloseBus> bus_;
  boost::asio::posix::stream_descriptor bus_events_;  // the descriptor belongs to the bus
  boost::asio::steady_timer timeout_timer_;           // the next time that the bus must process without being called
  boost::asio::steady_timer retry_timer_;
  bool complained_ = false;
};

}  // namespace nvmf::daemon
