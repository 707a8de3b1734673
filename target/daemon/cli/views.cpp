#include "target/daemon/cli/views.h"

#include <algorithm>

#include "config/config.h"
#include "config/wording.h"
#include "target/daemon/cli/text.h"

namespace nvmf::cli {
namespace {

constexpr auto kRight = Table::Align::Right;

std::string number(const Json& value) { return std::to_string(value.get<uint64_t>()); }
std::string word(const Json& value) { return value.get<std::string>(); }

// A list on one line; `none` when it is empty.
std::string joined(const Json& list, const std::string& none) {
  std::string text;
  for (const Json& one : list) text += (text.empty() ? "" : ", ") + (one.is_string() ? word(one) : one.dump());
  return text.empty() ? none : text;
}

std::string hosts_of(const Json& subsystem) {
  return subsystem.at("allow_any_host").get<bool>() ? "any" : joined(subsystem.at("allowed_hosts"), "none");
}

// "64 KiB/s, 100 IOPS" or "-".
std::string limits_of(const Json& space) {
  const auto iops = space.at("max_iops").get<uint64_t>();
  const auto mib = space.at("max_mib_per_s").get<uint64_t>();
  std::string text = iops == 0 ? "" : std::to_string(iops) + " IOPS";
  if (mib != 0) text += (text.empty() ? "" : ", ") + std::to_string(mib) + " MiB/s";
  return text.empty() ? "-" : text;
}

// "1, 3 of 4; 2: reason": which namespaces of a controller may use a CMB.
std::string p2p_of(const Json& controller) {
  const Json& all = controller.at("p2p");
  if (all.empty()) return "-";
  const auto usable = std::ranges::count_if(all, [](const Json& one) { return one.at("usable").get<bool>(); });
  if (usable == static_cast<std::ptrdiff_t>(all.size())) return "yes";
  const auto first = std::ranges::find_if(all, [](const Json& one) { return !one.at("usable").get<bool>(); });
  const std::string why = word(first->at("reason"));
  if (usable == 0) return "no: " + why;
  return std::to_string(usable) + " of " + std::to_string(all.size()) + "; " + number(first->at("nsid")) + ": " + why;
}

std::string trust_of(const Json& trust) {
  const Json& any = trust.at("any_offset_from_mtu");
  const Json& page = trust.at("page_start_from_mtu");
  if (page.is_null()) return "no";
  std::string pages = "whole pages from MTU " + page.dump();
  if (any.is_null()) return pages;
  return any == page ? "all from MTU " + any.dump() : "all from MTU " + any.dump() + ", " + pages;
}

std::string occupancy_of(const Json& pools) {
  uint64_t size = 0;
  uint64_t used = 0;
  for (const Json& pool : pools) {
    size += pool.at("size_bytes").get<uint64_t>();
    used += pool.at("used_bytes").get<uint64_t>();
  }
  return size == 0 ? "-" : bytes_text(used) + " of " + bytes_text(size);
}

std::string pairs_text(const Json& ssd, size_t width) {
  Table table({{"RNIC"}, {"MTU", kRight}, {"HOST READS"}, {"HOST WRITES"}, {"CMB IN USE"}});
  std::string findings;
  for (const Json& pair : ssd.at("rnics")) {
    table.add({word(pair.at("rnic")), number(pair.at("active_mtu")), trust_of(pair.at("host_reads")),
               trust_of(pair.at("host_writes")), occupancy_of(pair.at("pools"))});
    const std::string rnic = word(pair.at("rnic")) + ": ";
    for (const Json& finding : pair.at("findings")) findings += paragraph(rnic, word(finding), width);
    for (const Json& remedy : pair.at("remedies")) findings += paragraph(rnic + "remedy: ", word(remedy), width);
  }
  return (table.empty() ? "" : table.text(width)) + findings;
}

// "pool_dry 3, alignment 10"
std::string fallbacks_of(const Json& space) {
  std::string text;
  for (const auto& [reason, counted] : space.at("fallbacks").items()) {
    const auto commands = counted.at("commands").get<uint64_t>();
    if (commands != 0) text += (text.empty() ? "" : ", ") + reason + " " + std::to_string(commands);
  }
  return text.empty() ? "-" : text;
}

std::string path_cell(const Json& space, const char* path) {
  const PathSum sum = sum_of_path(space, path);
  return sum.commands == 0 ? "-" : count_text(static_cast<double>(sum.commands)) + " / " + bytes_text(sum.bytes);
}

// Whether hosts can connect; of several reasons why not the first, for the table of ports has the others.
std::string readiness_of(const Json& reasons) {
  if (reasons.empty()) return "yes";
  return "no, hosts cannot connect: " + word(reasons.front()) +
         (reasons.size() == 1 ? "" : ", and " + std::to_string(reasons.size() - 1) + " more");
}

}  // namespace

PathSum sum_of_path(const Json& space, const std::string& path) {
  PathSum sum;
  for (const char* direction : {"reads", "writes"}) {
    const Json& counted = space.at(direction).at(path);
    sum.commands += counted.at("commands").get<uint64_t>();
    sum.bytes += counted.at("bytes").get<uint64_t>();
  }
  return sum;
}

std::string status_view(const Json& answer, size_t width) {
  const Json& unsaved = answer.at("unsaved_changes");
  std::string text = "nvmf-p2p " + word(answer.at("version")) + ", up " +
                     duration_text(answer.at("uptime_s").get<uint64_t>()) +
                     (answer.at("shutting_down").get<bool>() ? ", shutting down" : "") + "\n";
  text += "config       " + word(answer.at("config")) + config::and_drop_ins(answer.at("drop_ins").size()) +
          (unsaved.empty() ? "" : ", with unsaved changes:") + "\n";
  for (const Json& line : unsaved) text += "             " + word(line) + "\n";
  if (const Json& reload = answer.at("last_reload"); !reload.is_null() && !reload.at("succeeded").get<bool>())
    text += paragraph("reload       ",
                      "the last one was refused: what runs is not what the config file says. nvmf-p2p check " +
                          word(answer.at("config")) + " reports its mistakes",
                      width);
  text += paragraph("ready        ", readiness_of(answer.at("unready")), width);
  if (const std::string failure = word(answer.at("upgrade_failure")); !failure.empty())
    text += paragraph("upgrade      ", "failed: " + failure, width);
  text += "subsystems   " + number(answer.at("subsystems")) + "\n";
  const auto missing = answer.at("missing_namespaces").get<uint64_t>();
  text += "namespaces   " + number(answer.at("namespaces")) +
          (missing == 0 ? "" : ", and " + std::to_string(missing) + " missing: see nvmf-p2p namespaces") + "\n";
  for (const Json& line : answer.at("unsaved_identifiers")) text += paragraph("not saved    ", word(line), width);
  if (answer.contains("awaited_devices"))  // older daemons do not say
    for (const Json& line : answer.at("awaited_devices")) text += paragraph("waits for    ", word(line), width);
  for (const Json& line : answer.at("unreadable_keys")) text += paragraph("key file     ", word(line), width);
  if (const std::string fault = word(answer.at("state_dir_fault")); !fault.empty())
    text += paragraph("state_dir    ", "cannot be written: " + fault, width);
  text += "controllers  " + number(answer.at("controllers")) + "\n";
  text += "connections  " + number(answer.at("connections")) + "\n";
  for (const Json& device : answer.at("rdma_devices"))
    text += "RNIC  " + word(device.at("name")) + ": " + number(device.at("io_queues")) + " of at most " +
            number(device.at("max_io_queues")) + " I/O queues\n";
  text += "\n";
  Table ports({{"PORT", kRight}, {"ADDRESS"}, {"SERVICE", kRight}, {"STATE"}});
  std::string reasons;
  for (const Json& port : answer.at("ports")) {
    ports.add({number(port.at("id")), word(port.at("address")), number(port.at("service")), word(port.at("state"))});
    const Json& addresses = port.at("addresses");
    if (config::is_wildcard(word(port.at("address"))) && !addresses.empty())
      reasons += paragraph("port " + number(port.at("id")) + ": ", "listening on " + joined(addresses, ""), width);
    if (const std::string reason = word(port.at("reason")); !reason.empty())
      reasons += paragraph("port " + number(port.at("id")) + ": ", reason, width);
  }
  return text + ports.text(width) + reasons;
}

std::string subsystems_view(const Json& answer, size_t width) {
  Table table({{"SUBSYSTEM"}, {"PORTS"}, {"NAMESPACES", kRight}, {"CONTROLLERS", kRight}, {"ALLOWED HOSTS"}});
  for (const Json& one : answer)
    table.add({word(one.at("nqn")), joined(one.at("ports"), "none"), number(one.at("namespaces")),
               number(one.at("controllers")), hosts_of(one)});
  return table.text(width);
}

std::string namespaces_view(const Json& answer, size_t width) {
  Table table({{"SUBSYSTEM"}, {"NSID", kRight}, {"STATE"}, {"SIZE", kRight}, {"P2P"}, {"LIMITS"}, {"DEVICE"}});
  std::string details;
  for (const Json& one : answer) {
    const bool served = one.at("state") == "served";
    const std::string device = served ? word(one.at("device")) : word(one.at("reason"));
    const std::string size = served ? bytes_text(one.at("size_bytes").get<uint64_t>()) : "-";
    const std::string p2p = !served                                      ? "-"
                            : word(one.at("p2p").at("provider")).empty() ? "no"
                                                                         : word(one.at("p2p").at("provider"));
    const std::string state = word(one.at("state")) + (one.at("read_only").get<bool>() ? ", read-only" : "");
    table.add({word(one.at("subsystem")), number(one.at("nsid")), state, size, p2p, limits_of(one), device});
    const bool explains = served && p2p == "no" && one.at("p2p").at("mode") != "off";
    if (explains)
      details += paragraph(word(one.at("subsystem")) + " " + number(one.at("nsid")) + ": ",
                           word(one.at("p2p").at("verdict")), width);
  }
  return table.text(width) + (details.empty() ? "" : "\n" + details);
}

std::string connections_view(const Json& answer, size_t width) {
  Table table({{"HOST"},
               {"ADDRESS"},
               {"PORT", kRight},
               {"SUBSYSTEM"},
               {"CTRL", kRight},
               {"QUEUES", kRight},
               {"RNIC"},
               {"MTU", kRight},
               {"P2P"}});
  for (const Json& host : answer.at("hosts")) {
    for (const Json& one : host.at("controllers")) {
      const Json& queues = one.at("queues");
      const std::string rnic = queues.empty() ? "-" : word(queues.back().at("rnic"));
      const std::string mtu = queues.empty() ? "-" : number(queues.back().at("path_mtu"));
      table.add({word(host.at("nqn")), word(one.at("peer")), number(one.at("port")),
                 one.at("discovery").get<bool>() ? "(discovery)" : word(one.at("subsystem")), number(one.at("cntlid")),
                 std::to_string(queues.size()), rnic, mtu, p2p_of(one)});
    }
  }
  return table.empty() ? "no host is connected\n" : table.text(width);
}

std::string p2p_view(const Json& answer, size_t width) {
  std::string text;
  for (const Json& ssd : answer.at("ssds")) {
    const std::string failure = word(ssd.at("failure"));
    text += "SSD " + word(ssd.at("address")) + ": ";
    text += failure.empty() ? "CMB of " + bytes_text(ssd.at("cmb_bytes").get<uint64_t>()) : failure;
    text += "\n" + pairs_text(ssd, width) + "\n";
  }
  if (answer.at("ssds").empty()) text += "no namespace is configured to use a CMB\n\n";
  Table table({{"SUBSYSTEM"}, {"NSID", kRight}, {"P2P"}, {"FALLBACKS"}, {"VERDICT"}});
  for (const Json& one : answer.at("namespaces"))
    table.add({word(one.at("subsystem")), number(one.at("nsid")), word(one.at("mode")), fallbacks_of(one),
               word(one.at("verdict"))});
  return text + table.text(width);
}

std::string stats_view(const Json& answer, size_t width) {
  Table table({{"SUBSYSTEM"},
               {"NSID", kRight},
               {"CMB"},
               {"DRAM"},
               {"IN CAPSULE"},
               {"DIRECT"},
               {"OTHER", kRight},
               {"ERRORS", kRight},
               {"WAITS", kRight},
               {"THROTTLED", kRight},
               {"FALLBACKS"}});
  for (const Json& one : answer.at("namespaces"))
    table.add({word(one.at("subsystem")), number(one.at("nsid")), path_cell(one, "cmb"), path_cell(one, "dram"),
               path_cell(one, "in_capsule"), path_cell(one, "direct"), number(one.at("other_commands")),
               number(one.at("errors")), number(one.at("waits")), number(one.at("throttled")), fallbacks_of(one)});
  std::string text = table.text(width);
  for (const Json& host : answer.value("hosts", Json::array()))
    if (const Json& over = host.at("over_share"); over != 0)
      text +=
          word(host.at("nqn")) + ": " + number(over) + " commands found the host's share of a buffer pool used up\n";
  return text;
}

std::string reservations_view(const Json& answer, size_t width) {
  if (answer.empty()) return "no host is registered on a namespace\n";
  Table table({{"SUBSYSTEM"}, {"NSID", kRight}, {"RESERVATION"}, {"PERSISTS"}, {"HOLDER"}, {"KEY", kRight}, {"HOST"}});
  for (const Json& ns : answer)
    for (const Json& one : ns.at("registrants")) {
      const std::string gone = one.at("controllers") == 0 ? " (not connected)" : "";
      table.add({word(ns.at("subsystem")), number(ns.at("nsid")), word(ns.at("type")),
                 ns.at("persists").get<bool>() ? "yes" : "no", one.at("holder").get<bool>() ? "yes" : "no",
                 word(one.at("key")), joined(one.at("hosts"), word(one.at("host_id"))) + gone});
    }
  return table.text(width);
}

std::string write_protection_view(const Json& answer, size_t width) {
  if (answer.empty()) return "no namespace is protected from writes\n";
  Table table({{"SUBSYSTEM"}, {"NSID", kRight}, {"BY HOSTS"}, {"BY THE CONFIG"}});
  for (const Json& one : answer)
    table.add({word(one.at("subsystem")), number(one.at("nsid")), word(one.at("state")),
               one.at("read_only").get<bool>() ? "read_only" : "no"});
  return table.text(width);
}

std::string ana_view(const Json& answer, size_t width) {
  Table table({{"SUBSYSTEM"}, {"GROUP", kRight}, {"PORT", kRight}, {"STATE"}});
  for (const Json& subsystem : answer)
    for (const Json& one : subsystem.at("states"))
      table.add(
          {word(subsystem.at("subsystem")), number(one.at("group")), number(one.at("port")), word(one.at("state"))});
  return table.text(width);
}

std::string event_view(const Json& event, size_t width) {
  const std::string lead = time_of_day_text(event.at("time_ms").get<int64_t>()) + "  " + word(event.at("kind")) + "  ";
  const std::string severity = event.at("severity") == "info" ? "" : word(event.at("severity")) + ": ";
  return paragraph(lead, severity + word(event.at("message")), width);
}

std::string change_view(const Json& answer, size_t /*width*/) {
  std::string text;
  for (const Json& line : answer.at("changes")) text += word(line) + "\n";
  if (answer.at("changes").empty() && !answer.contains("error")) text += "no difference\n";
  for (const Json& reason : answer.at("reasons")) text += word(reason) + "\n";
  return text;
}

std::string saved_view(const Json& answer, size_t /*width*/) {
  std::string text;
  for (const Json& file : answer.at("files")) text += "saved " + word(file) + "\n";
  if (answer.at("files").empty()) text += "nothing to save: no change is unsaved\n";
  for (const Json& file : answer.at("left"))
    text +=
        word(file) + " was changed after the daemon had read it, and stays as it is: no unsaved change belongs to it\n";
  if (!answer.contains("not_given")) return text;  // older daemons do not say
  for (const Json& file : answer.at("not_given"))
    text +=
        word(file) +
        " belongs to the daemon's user now, who may not give files to their former owner or group; the former group "
        "may no longer use the file: as root, chown and chmod the file\n";
  return text;
}

}  // namespace nvmf::cli
