// What the terminal shows: tables, quantities, and the live screen as text.
#include "target/daemon/cli/top.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <regex>

#include "target/daemon/cli/text.h"

namespace nvmf::cli {
namespace {

using Json = nlohmann::ordered_json;

Json counted(uint64_t commands, uint64_t bytes) { return {{"commands", commands}, {"bytes", bytes}}; }

Json space(const char* nqn, uint64_t nsid, const Json& cmb_reads, const Json& dram_writes) {
  const Json none = counted(0, 0);
  return {{"subsystem", nqn},
          {"nsid", nsid},
          {"reads", {{"cmb", cmb_reads}, {"dram", none}, {"in_capsule", none}, {"direct", none}}},
          {"writes", {{"cmb", none}, {"dram", dram_writes}, {"in_capsule", none}, {"direct", none}}}};
}

Json stats(const std::vector<Json>& namespaces, const std::vector<Json>& hosts = {}) {
  return {{"connections", 3}, {"namespaces", namespaces}, {"hosts", hosts}};
}

// `latency`: of the reads through the CMB.
Json host(const char* nqn, const Json& cmb_reads, const Json& dram_writes, const Json& latency = Json::array()) {
  Json none = counted(0, 0);
  none["latency"] = {{"count", 0}};
  Json reads = cmb_reads;
  reads["latency"] = {{"count", cmb_reads.at("commands")}, {"buckets", latency}};
  Json writes = dram_writes;
  writes["latency"] = {{"count", 0}};
  return {{"nqn", nqn},
          {"reads", {{"cmb", reads}, {"dram", none}, {"in_capsule", none}, {"direct", none}}},
          {"writes", {{"cmb", none}, {"dram", writes}, {"in_capsule", none}, {"direct", none}}}};
}

const Json kNobody = {{"hosts", Json::array()}};
constexpr char kHost[] = "nqn.2014-08.org.nvmexpress:host";
Json connected(const char* nqn) { return {{"nqn", nqn}, {"controllers", {{{"queues", {1, 2, 3}}}}}}; }
const Json kOneHost = {{"hosts", {connected(kHost)}}};

// However wide the columns are.
bool says(const std::string& text, const std::string& what) {
  return std::regex_replace(text, std::regex(" +"), " ").find(what) != std::string::npos;
}

TEST_CASE("a table fits: the widest columns lose the middle of what they say") {
  Table table({{"NQN"}, {"COUNT", Table::Align::Right}});
  table.add({"nqn.2026-01.io.example:a-long-name-1", "1"});
  table.add({"nqn.short", "12345"});
  CHECK(table.text(0) ==
        "NQN                                   COUNT\n"
        "nqn.2026-01.io.example:a-long-name-1      1\n"
        "nqn.short                             12345\n");
  CHECK(table.text(22) ==
        "NQN              COUNT\n"
        "nqn.202…-name-1      1\n"
        "nqn.short        12345\n");
  CHECK(table.text(5).find("COUNT") != std::string::npos);
}

TEST_CASE("text is counted and cut by characters, not by bytes") {
  CHECK(length_of("«ab»") == 4);
  CHECK(shortened("«abcdef»", 5) == "«a…f»");
  CHECK(length_of("語e\xcc\x81") == 3);
  CHECK(shortened("語語語語", 5) == "語…語");
  CHECK(shortened("語語語語", 4) == "語…");
  CHECK(shortened("ab", 1) == "…");
  CHECK(shortened("ab", 0).empty());
}

TEST_CASE("a paragraph is broken between words, and stands in line") {
  CHECK(paragraph("rxe0: ", "one two three", 0) == "rxe0: one two three\n");
  CHECK(paragraph("rxe0: ", "one two three", 13) == "rxe0: one two\n      three\n");
  CHECK(paragraph("rxe0: ", "extraordinarily long", 10) == "rxe0: extraordinarily\n      long\n");
}

TEST_CASE("quantities as people read them") {
  CHECK(bytes_text(512) == "512 B");
  CHECK(bytes_text(uint64_t{3} << 19U) == "1.50 MiB");
  CHECK(bytes_text(uint64_t{1} << 40U) == "1 TiB");
  CHECK(count_text(999) == "999");
  CHECK(count_text(12345) == "12.3k");
  CHECK(time_text(850) == "850 ns");
  CHECK(time_text(87'000) == "87.0 us");
  CHECK(duration_text(5) == "5 s");
  CHECK(duration_text(93784) == "1 d 2 h");
  CHECK(sparkline({0, 50, 100}, 10) == "▁▅█");
  CHECK(sparkline({100, 0, 0}, 2) == "▁▁");
}

TEST_CASE("top shows rates between two looks: by path, subsystem, namespace and host") {
  Top top;
  top.add(10, stats({space("nqn.a", 1, counted(0, 0), counted(0, 0)), space("nqn.b", 1, counted(7, 7), counted(0, 0))}),
          kNobody);
  CHECK(says(top.text(0, 0), "nvmf-p2p 0 IOPS 0 B/s"));
  CHECK(says(top.text(0, 0), "no host is connected"));
  top.add(12,
          stats({space("nqn.a", 1, counted(2000, 2000 << 12U), counted(100, 100 << 20U)),
                 space("nqn.b", 1, counted(7, 7), counted(0, 0))},
                {host(kHost, counted(2000, 2000 << 12U), counted(100, 100 << 20U))}),
          kOneHost);
  const std::string text = top.text(0, 0);
  CHECK(says(text, "nvmf-p2p 1.05k IOPS 53.9 MiB/s hosts 1 connections 3\n█\n"));
  CHECK(says(text, "CMB 1.00k 3.91 MiB/s - - - 100 %\n"));
  CHECK(says(text, "DRAM 50 - - 50 MiB/s - 0 %\n"));
  CHECK(says(text, "nqn.a 1 1.05k 3.91 MiB/s - 50 MiB/s - 7 %\n"));
  CHECK(says(text, "nqn.b 1 - - - - - -\n"));
  CHECK(says(text, "nqn.2014-08.org.nvmexpress:host 3 1.05k 3.91 MiB/s - 50 MiB/s - 7 %\n"));
}

TEST_CASE("top shows the busiest host first, and of those that have left none") {
  constexpr char kIdle[] = "nqn.host:idle";
  Top top;
  const Json zero = counted(0, 0);
  const auto moved = [&](uint64_t bytes) {
    return stats({}, {host("nqn.host:gone", zero, zero), host(kHost, counted(1, bytes), zero)});
  };
  const Json both = {{"hosts", {connected(kIdle), connected(kHost)}}};
  top.add(1, moved(0), both);
  top.add(2, moved(4096), both);
  const std::string text = top.text(0, 0);
  CHECK(text.find(kHost) < text.find(kIdle));
  CHECK(says(text, kIdle));
  CHECK_FALSE(says(text, "nqn.host:gone"));
}

TEST_CASE("top shows latency by namespace, by host and by path, together for what has several") {
  const auto with_latency = [](uint64_t nsid, const Json& buckets) {
    Json one = space("nqn.a", nsid, counted(9, 0), counted(0, 0));
    one["latency"]["target"] = {{"read", {{"count", 9}, {"buckets", buckets}}}, {"write", {{"count", 0}}}};
    return one;
  };
  const auto look = [&](const Json& first, const Json& second, const Json& of_host) {
    return stats({with_latency(1, first), with_latency(2, second)},
                 {host(kHost, counted(9, 0), counted(0, 0), of_host)});
  };
  Top top;
  top.add(1, look({{1000, 1}}, Json::array(), Json::array()), kOneHost);
  top.add(2, look({{1000, 1}, {8000, 2}}, {{16000, 2}}, {{32000, 1}}), kOneHost);
  const std::string text = top.text(0, 0);
  CHECK(says(text, "8.00/8.00 us"));  // namespace 1
  CHECK(says(text, "16.0/16.0 us"));  // namespace 2
  CHECK(says(text, "8.00/16.0 us"));  // the subsystem
  const size_t of_path = text.find("32.0/32.0 us");
  CHECK(of_path < text.find("SUBSYSTEM"));
  CHECK(text.find("32.0/32.0 us", of_path + 1) > text.find("HOST"));
}

TEST_CASE("a namespace that has just come, or begins to count anew, has no rate yet") {
  Top top;
  top.add(1, stats({space("nqn.a", 1, counted(100, 100), counted(0, 0))}), kNobody);
  top.add(2, stats({space("nqn.a", 1, counted(5, 5), counted(0, 0)), space("nqn.a", 2, counted(9, 9), counted(0, 0))}),
          kNobody);
  CHECK(says(top.text(0, 0), "nvmf-p2p 0 IOPS 0 B/s"));
}

TEST_CASE("top fits the terminal, whatever it shows") {
  Top top;
  std::vector<Json> many;
  for (uint64_t nsid = 1; nsid <= 50; ++nsid)
    many.push_back(space("nqn.2026-01.io.example:a-rather-long-name", nsid, counted(0, 0), counted(0, 0)));
  for (int second = 0; second < 200; ++second) top.add(second, stats(many), kOneHost);
  const std::string text = top.text(100, 24);
  CHECK(std::ranges::count(text, '\n') == 24);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    CHECK(length_of(std::string_view(text).substr(begin, end - begin)) <= 100);
    begin = end + 1;
  }
}

TEST_CASE("latency is of the commands between two looks") {
  const Json before = Json::array({{1000, 10}, {2000, 0}, {4000, 0}});
  const Json after = Json::array({{1000, 10}, {2000, 98}, {4000, 2}});
  CHECK(percentiles_text(latency_between(&before, &after)) == "2.00/4.00 us");
  CHECK(percentiles_text(latency_between(&after, &after)) == "-");
  CHECK(percentiles_text(latency_between(nullptr, nullptr)) == "-");
  CHECK(percentiles_text({{2000, 50}, {4'000'000, 50}}) == "2.00 us/4.00 ms");
}

}  // namespace
}  // namespace nvmf::cli
