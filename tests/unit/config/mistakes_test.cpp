// Configs that are JSON but wrong: one mistake each, with the position and the words of its report.
#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/config/broken.h"

namespace nvmf::config::test {
namespace {

std::string host(const std::string& name) { return "\"nqn.2026-01.io.example:" + name + "\""; }

std::string subsystem(const std::string& members) {
  return with_subsystems("{\"nqn\": " + host("a") + ", \"namespaces\": [{\"memory\": 512}], " + members + "}");
}

const std::vector<Broken> kMistakesOfTheWhole = {
    {"^[]", "$: an array where an object is expected; write the config as { \"key\": value, ... }"},
    {"^\"hello\"", "$: a string where an object is expected; write the config as { \"key\": value, ... }"},
    {"^{\"subsystems\": [{\"nqn\": \"nqn.2026-01.io.example:a\", \"allow_any_host\": true, "
     "\"namespaces\": [{\"memory\": 512}]}]}",
     "$: the config without \"ports\"; add it"},
    {"^{\"ports\": [{\"id\": 1, \"address\": \"10.0.0.1\"}]}", "$: the config without \"subsystems\"; add it"},
    {with_top("^\"prots\": []"), "$.prots: not a key of the config; did you mean \"ports\"?"},
    {with_top("^\"frobnicate\": 1"),
     "$.frobnicate: not a key of the config; write one of \"$schema\", \"log_level\", \"log_format\", \"admin\", "
     "\"state_dir\", \"shutdown_timeout_ms\", \"reactors\", \"rdma\", \"limits\", \"discovery\", \"metrics\", "
     "\"ports\" or \"subsystems\""},
    {with_top("\"log_level\": \"info\",\n  ^\"log_level\": \"warn\""),
     "$.log_level: this key is given twice, first in line 5; keep one"},
    {with_top("\"$schema\": ^1"), "$.$schema: a number where a string is expected; put it in double quotes"},
    {with_top("\"log_level\": ^\"inof\""),
     "$.log_level: \"inof\" is not one of the choices; did you mean \"info\"? write \"trace\", \"debug\", \"info\", "
     "\"warn\" or \"error\""},
    {with_top("\"log_level\": ^\"loud\""),
     "$.log_level: \"loud\" is not one of the choices; write \"trace\", \"debug\", \"info\", \"warn\" or \"error\""},
    {with_top("\"log_format\": ^\"jsonl\""),
     "$.log_format: \"jsonl\" is not one of the choices; did you mean \"json\"? write \"text\" or \"json\""},
    {with_top("\"log_level\": ^3"),
     "$.log_level: a number where a string is expected; write \"trace\", \"debug\", \"info\", \"warn\" or \"error\""},
    {with_top("\"log_level\": ^null"),
     "$.log_level: null where a string is expected; write \"trace\", \"debug\", \"info\", \"warn\" or \"error\""},
    {with_top("\"admin\": {\"socket\": ^\"run/stats.sock\"}"),
     "$.admin.socket: \"run/stats.sock\" is not absolute; start the path with /"},
    {with_top("\"admin\": {\"socket\": ^\"/" + std::string(107, 's') + "\"}"),
     "$.admin.socket: a path of 108 bytes; the path of a UNIX socket has at most 107"},
    {with_top("\"admin\": {\"socket\": ^\"/run/\"}"),
     "$.admin.socket: \"/run/\" is a directory; add the name of a file in it"},
    {with_top("\"admin\": {\"socket\": ^\"\"}"), "$.admin.socket: an empty path; write an absolute path"},
    {with_top("\"admin\": {\"socket\": ^\"/run/a\\u0000b\"}"),
     "$.admin.socket: a control character in the path; remove it"},
    {with_top("\"admin\": {\"read_only_mode\": ^\"0666\"}"),
     "$.admin.read_only_mode: there is no \"read_only_socket\" to which this applies; write \"read_only_socket\" with "
     "a "
     "path, or remove this key"},
    {with_top("\"admin\": {\"socket\": \"/run/a\", \"read_only_socket\": ^\"/run//a\"}"),
     "$.admin.read_only_socket: it is the path of \"socket\", too; write another path"},
    {with_top("\"admin\": {\"mode\": ^\"rw\"}"),
     "$.admin.mode: \"rw\" is not a file mode; write three octal digits, such as \"0660\""},
    {with_top("\"admin\": {\"mode\": ^\"1777\"}"),
     "$.admin.mode: \"1777\" is not a file mode; write three octal digits, such as \"0660\""},
    {with_top("\"admin\": {\"mode\": ^660}"),
     "$.admin.mode: a number where a string of permission bits is expected; write three octal digits, such as "
     "\"0660\""},
    {with_top("\"state_dir\": ^\"var/lib\""), "$.state_dir: \"var/lib\" is not absolute; start the path with /"},
    {with_top("\"state_dir\": ^\"/dev/shm/state\""),
     "$.state_dir: \"/dev/shm/state\" is lost when the machine restarts; use a directory on a disk"},
    {with_top("\"state_dir\": ^3"),
     "$.state_dir: a number where a path is expected; write an absolute path as a string"},
    {with_top("\"shutdown_timeout_ms\": ^600001"),
     "$.shutdown_timeout_ms: 600001 is out of range; write an integer from 0 to 600000"},
    {with_top("\"shutdown_timeout_ms\": ^-1"),
     "$.shutdown_timeout_ms: -1 is out of range; write an integer from 0 to 600000"},
    {with_top("\"shutdown_timeout_ms\": ^99999999999999999999"),
     "$.shutdown_timeout_ms: this number is out of range; write an integer from 0 to 600000"},
    {with_top("\"shutdown_timeout_ms\": ^1.5"),
     "$.shutdown_timeout_ms: a number with a fraction where an integer is expected; write an integer from 0 to 600000"},
    {with_top("\"shutdown_timeout_ms\": ^\"5s\""),
     "$.shutdown_timeout_ms: a string where an integer is expected; write an integer from 0 to 600000"},
};

const std::vector<Broken> kMistakesInReactorsAndRdma = {
    {with_top("\"reactors\": ^4"),
     "$.reactors: a number where an object is expected; write reactors as { \"key\": value, ... }"},
    {with_top("\"reactors\": {\"count\": ^0}"), "$.reactors.count: 0 is out of range; write an integer from 1 to 256"},
    {with_top("\"reactors\": {\"cores\": [0], ^\"cuont\": 1}"),
     "$.reactors.cuont: not a key of reactors; did you mean \"count\"?"},
    {with_top("\"reactors\": {\"cores\": [0], \"count\": ^1}"),
     "$.reactors.count: a count in addition to a list of cores; keep one of them"},
    {with_top("\"reactors\": {\"cores\": ^[]}"), "$.reactors.cores: an empty array; fill it, or remove the key"},
    {with_top("\"reactors\": {\"cores\": ^2}"), "$.reactors.cores: a number where an array is expected; put it in [ ]"},
    {with_top("\"reactors\": {\"cores\": [0, ^1024]}"),
     "$.reactors.cores[1]: 1024 is out of range; write an integer from 0 to 1023"},
    {with_top("\"reactors\": {\"cores\": [0, ^\"1\"]}"),
     "$.reactors.cores[1]: a string where an integer is expected; write an integer from 0 to 1023"},
    {with_top("\"reactors\": {\"cores\": [2, 3,\n ^2]}"),
     "$.reactors.cores[2]: the same core as $.reactors.cores[0] in line 5; keep one"},
    {with_top("\"reactors\": {\"poll_us\": ^1000001}"),
     "$.reactors.poll_us: 1000001 is out of range; write an integer from 0 to 1000000"},
    {with_top("\"rdma\": {\"in_capsule_data_bytes\": ^100}"),
     "$.rdma.in_capsule_data_bytes: 100 is not a multiple of 16; write an integer from 0 to 16384, a multiple of 16"},
    {with_top("\"rdma\": {\"in_capsule_data_bytes\": ^16400}"),
     "$.rdma.in_capsule_data_bytes: 16400 is out of range; write an integer from 0 to 16384, a multiple of 16"},
    {with_top("\"rdma\": {\"max_queue_depth\": ^1}"),
     "$.rdma.max_queue_depth: 1 is out of range; write an integer from 2 to 1024"},
    {with_top("\"rdma\": {\"max_io_queues\": ^1025}"),
     "$.rdma.max_io_queues: 1025 is out of range; write an integer from 1 to 1024"},
    {with_top("\"rdma\": {\"mdts_bytes\": ^24576}"),
     "$.rdma.mdts_bytes: 24576 is not allowed; write a power of two from 16384 to 2097152"},
    {with_top("\"rdma\": {\"mdts_bytes\": ^8192}"),
     "$.rdma.mdts_bytes: 8192 is out of range; write a power of two from 16384 to 2097152"},
    {with_top("\"rdma\": {\"mdts_bytes\": ^4194304}"),
     "$.rdma.mdts_bytes: 4194304 is out of range; write a power of two from 16384 to 2097152"},
    {with_top("\"rdma\": {\"mdts_bytes\": ^true}"),
     "$.rdma.mdts_bytes: a boolean where an integer is expected; write a power of two from 16384 to 2097152"},
    {with_top("\"limits\": {\"max_io_queues\": ^0}"),
     "$.limits.max_io_queues: 0 is out of range; write an integer from 1 to 1000000"},
    {with_top("\"limits\": {^\"max_controler\": 1}"),
     "$.limits.max_controler: not a key of limits; did you mean \"max_controllers\"?"},
    {with_top("\"rdma\": {\"dram_pool_mib\": ^3}"),
     "$.rdma.dram_pool_mib: 3 is out of range; write an integer from 4 to 65536"},
    {with_top("\"rdma\": {\"devices\": [^{}]}"), "$.rdma.devices[0]: an RNIC without \"name\"; add it"},
    {with_top("\"rdma\": {\"devices\": [{\"name\": \"mlx5_0\", \"remote_invalidate\": ^\"never\"}]}"),
     "$.rdma.devices[0].remote_invalidate: \"never\" is not one of the choices; write \"proved\", \"on\" or \"off\""},
    {with_top("\"rdma\": {\"devices\": [{\"name\": \"siw0\", \"iwarp\": ^1}]}"),
     "$.rdma.devices[0].iwarp: a number where a boolean is expected; write true or false without quotes"},
};

const std::vector<Broken> kMistakesInPorts = {
    {with_port("^{\"address\": \"10.0.0.1\"}"), "$.ports[0]: a port without \"id\"; add it"},
    {with_port("^{\"id\": 1}"), "$.ports[0]: a port without \"address\"; add it"},
    {with_port("{\"id\": ^0, \"address\": \"10.0.0.1\"}"),
     "$.ports[0].id: 0 is out of range; write an integer from 1 to 65535"},
    {with_port("{\"id\": ^65536, \"address\": \"10.0.0.1\"}"),
     "$.ports[0].id: 65536 is out of range; write an integer from 1 to 65535"},
    {with_port("{\"id\": 1, ^\"adress\": \"10.0.0.1\"}"),
     "$.ports[0].adress: not a key of a port; did you mean \"address\"?"},
    {with_port("{\"id\": 1, ^\"adress\": \"\", \"address\": \"10.0.0.1\"}"),
     "$.ports[0].adress: not a key of a port; did you mean \"address\"?"},
    {with_port("{\"id\": 1, \"address\": ^\"localhost\"}"),
     "$.ports[0].address: \"localhost\" is not an IPv4 or IPv6 address; write the address of an RDMA interface of this "
     "machine, such as 10.0.0.1 or fd00::1, or 0.0.0.0 or :: for all"},
    {with_port("{\"id\": 1, \"address\": ^\"10.0.0.256\"}"),
     "$.ports[0].address: \"10.0.0.256\" is not an IPv4 or IPv6 address; write the address of an RDMA interface of "
     "this "
     "machine, such as 10.0.0.1 or fd00::1, or 0.0.0.0 or :: for all"},
    {with_port("{\"id\": 1, \"address\": ^\"10.0.0.1\\u0000\"}"),
     "$.ports[0].address: \"10.0.0.1\\u0000\" is not an IPv4 or IPv6 address; write the address of an RDMA interface "
     "of "
     "this machine, such as 10.0.0.1 or fd00::1, or 0.0.0.0 or :: for all"},
    {with_port("{\"id\": 1, \"address\": ^\"224.0.0.1\"}"),
     "$.ports[0].address: \"224.0.0.1\" is a broadcast or multicast address; write the address of an RDMA interface of "
     "this machine, such as 10.0.0.1 or fd00::1, or 0.0.0.0 or :: for all"},
    {with_port("{\"id\": 1, \"address\": ^\"fe80::1\"}"),
     "$.ports[0].address: \"fe80::1\" is a link-local address, which does not say on which link; write the address of "
     "an RDMA "
     "interface of this machine, such as 10.0.0.1 or fd00::1, or 0.0.0.0 or :: for all"},
    {with_port("{\"id\": 1, \"address\": ^\"::ffff:0.0.0.0\"}"),
     "$.ports[0].address: \"::ffff:0.0.0.0\" is an IPv4 address in the form of IPv6; write the address of an RDMA "
     "interface of this machine, such as 10.0.0.1 or fd00::1, or 0.0.0.0 or :: for all"},
    {with_port("{\"id\": 1, \"address\": ^10}"),
     "$.ports[0].address: a number where an IP address is expected; write a string like \"10.0.0.1\""},
    {with_port("{\"id\": 1, \"address\": \"10.0.0.1\", \"dscp\": ^64}"),
     "$.ports[0].dscp: 64 is out of range; write an integer from 0 to 63"},
    {with_port("{\"id\": 1, \"address\": \"10.0.0.1\", \"service\": ^\"4420\"}"),
     "$.ports[0].service: a string where an integer is expected; write an integer from 1 to 65535"},
    {with_port("{\"id\": 1, \"address\": \"10.0.0.1\"},\n    {\"id\": ^1, \"address\": \"10.0.0.2\"}"),
     "$.ports[1].id: the same port id as $.ports[0].id in line 2; give each its own"},
    {with_port(
         "{\"id\": 1, \"address\": \"fd00::1\"},\n    {\"id\": 2, \"address\": ^\"fd00:0::0:1\", \"service\": 4420}"),
     "$.ports[1].address: the same address and service as $.ports[0].address in line 2; give each its own"},
};

const std::vector<Broken> kMistakesInSubsystems = {
    {with_subsystems("^7"),
     "$.subsystems[0]: a number where an object is expected; write a subsystem as { \"key\": value, ... }"},
    {with_subsystems("^{\"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}]}"),
     "$.subsystems[0]: a subsystem without \"nqn\"; add it"},
    {with_subsystems("{\"nqn\": ^\"\", \"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}]}"),
     "$.subsystems[0].nqn: this does not begin with \"nqn.\"; an NQN looks like nqn.2026-01.io.example:disk1"},
    {with_subsystems("{\"nqn\": ^\"nqn.2014-08.org.nvmexpress.discovery\", \"allow_any_host\": true, \"namespaces\": "
                     "[{\"memory\": 512}]}"),
     "$.subsystems[0].nqn: the discovery subsystem's NQN; every port offers it automatically; use another NQN"},
    {with_subsystems("{\"nqn\": " + host("a") + ", \"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}]},\n" +
                     "{\"nqn\": ^" + host("a") + ", \"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}]}"),
     "$.subsystems[1].nqn: the same NQN as $.subsystems[0].nqn in line 3; give each its own"},
    {with_subsystems("^{\"nqn\": " + host("a") + ", \"namespaces\": [{\"memory\": 512}]}"),
     "$.subsystems[0]: no host could connect; list hosts in \"hosts\" or \"allowed_hosts\", or write "
     "\"allow_any_host\": true"},
    {with_subsystems("^{\"nqn\": " + host("a") + ", \"allowed_hosts\": [], \"namespaces\": [{\"memory\": 512}]}"),
     "$.subsystems[0]: no host could connect; list hosts in \"hosts\" or \"allowed_hosts\", or write "
     "\"allow_any_host\": true"},
    {with_subsystems("^{\"nqn\": " + host("a") + ", \"allow_any_host\": false, \"namespaces\": [{\"memory\": 512}]}"),
     "$.subsystems[0]: no host could connect; list hosts in \"hosts\" or \"allowed_hosts\", or write "
     "\"allow_any_host\": true"},
    {subsystem("\"allow_any_host\": ^\"yes\""),
     "$.subsystems[0].allow_any_host: a string where a boolean is expected; write true or false without quotes"},
    {subsystem("^\"allowed_host\": [" + host("h") + "]"),
     "$.subsystems[0].allowed_host: not a key of a subsystem; did you mean \"allowed_hosts\"?"},
    {subsystem("\"allowed_hosts\": ^" + host("h")),
     "$.subsystems[0].allowed_hosts: a string where an array is expected; put it in [ ]"},
    {subsystem("\"hosts\": [^{\"nqn\": " + host("h") + "}]"),
     "$.subsystems[0].hosts[0]: a host without \"key_file\"; add it"},
    {subsystem("\"hosts\": [{\"nqn\": " + host("h") + ", \"key_file\": ^\"DHHC-1:00:x:\"}]"),
     "$.subsystems[0].hosts[0].key_file: a key, which must not be in the config: replace it, because others may have "
     "read it; write the new key to a file with mode 0600, and its path here"},
    {subsystem("\"hosts\": [{\"nqn\": " + host("h") + ", \"key_file\": ^\"keys/h\"}]"),
     "$.subsystems[0].hosts[0].key_file: \"keys/h\" is not absolute; write an absolute path, or the name of a "
     "credential (LoadCredential=)"},
    {subsystem("\"hosts\": [{\"nqn\": " + host("h") + ", \"key_file\": \"h\", \"dhchap_hash\": ^\"md5\"}]"),
     "$.subsystems[0].hosts[0].dhchap_hash: \"md5\" is not one of the choices; write \"sha256\", \"sha384\" or "
     "\"sha512\""},
    {subsystem("\"allowed_hosts\": [" + host("h") + "], \"hosts\": [{\"nqn\": ^" + host("h") +
               ", \"key_file\": \"/k\"}]"),
     "$.subsystems[0].hosts[0].nqn: the host is in \"allowed_hosts\", too, so it need not authenticate; remove it "
     "there"},
    {subsystem("\"hosts\": [{\"nqn\": " + host("h") + ", \"key_file\": \"/k\"}, ^{\"nqn\": " + host("h") +
               ", \"key_file\": \"/l\", \"dhchap_group\": \"ffdhe2048\"}]"),
     "$.subsystems[0].hosts[1]: an earlier entry of the host has another \"dhchap_hash\" or \"dhchap_group\"; write "
     "the same in all entries of a host"},
    {subsystem("\"allowed_hosts\": [^\"\"]"),
     "$.subsystems[0].allowed_hosts[0]: this does not begin with \"nqn.\"; an NQN looks like "
     "nqn.2026-01.io.example:disk1"},
    {subsystem("\"allowed_hosts\": [" + host("h") + ",\n  ^" + host("h") + "]"),
     "$.subsystems[0].allowed_hosts[1]: the same host NQN as $.subsystems[0].allowed_hosts[0] in line 3; keep one"},
    {subsystem("\"allow_any_host\": true, \"ports\": [1, ^7]"),
     "$.subsystems[0].ports[1]: there is no port 7; write 1"},
    {subsystem("\"allow_any_host\": true, \"ports\": [1, ^1]"),
     "$.subsystems[0].ports[1]: the same port as $.subsystems[0].ports[0] in line 3; keep one"},
    {subsystem("\"allow_any_host\": true, \"ports\": ^1"),
     "$.subsystems[0].ports: a number where an array is expected; put it in [ ]"},
    {subsystem("\"allow_any_host\": true, \"serial\": ^\"123456789012345678901\""),
     "$.subsystems[0].serial: 21 characters; write 1 to 20 printable ASCII characters"},
    {subsystem("\"allow_any_host\": true, \"serial\": ^\"\""),
     "$.subsystems[0].serial: 0 characters; write 1 to 20 printable ASCII characters"},
    {subsystem("\"allow_any_host\": true, \"serial\": ^1234"),
     "$.subsystems[0].serial: a number where a string is expected; write 1 to 20 printable ASCII characters"},
    {subsystem("\"allow_any_host\": true, \"model\": ^\"Größe\""),
     "$.subsystems[0].model: a character that is not printable ASCII; write 1 to 40 printable ASCII characters"},
    {subsystem("\"allow_any_host\": true, \"max_controllers\": ^65520"),
     "$.subsystems[0].max_controllers: 65520 is out of range; write an integer from 1 to 65519"},
    {subsystem("\"allow_any_host\": true, \"max_controllers\": ^0"),
     "$.subsystems[0].max_controllers: 0 is out of range; write an integer from 1 to 65519"},
};

const std::vector<Broken> kMistakesInNamespaces = {
    {with_namespaces("^{}"),
     "$.subsystems[0].namespaces[0]: a namespace without a backend; add one of \"nvme\", \"block\", \"file\", "
     "\"memory\" or \"dax\""},
    {with_namespaces("{^\"blok\": \"/dev/sdb\"}"),
     "$.subsystems[0].namespaces[0].blok: not a key of a namespace; did you mean \"block\"?"},
    {with_namespaces("{\"memory\": ^511}"),
     "$.subsystems[0].namespaces[0].memory: 511 is out of range; write 512 bytes to 1024 TiB"},
    {with_namespaces("{\"memory\": ^1000}"),
     "$.subsystems[0].namespaces[0].memory: 1000 bytes are not a whole number of blocks; write a multiple of 512"},
    {with_namespaces("{\"memory\": ^512, \"block_size\": 4096}"),
     "$.subsystems[0].namespaces[0].memory: 512 bytes are not a whole number of blocks; write a multiple of 4096"},
    {with_namespaces("{\"memory\": ^\"64MB\"}"),
     "$.subsystems[0].namespaces[0].memory: \"64MB\" is not a size; write bytes, or a string with KiB, MiB, GiB or "
     "TiB, "
     "such as \"64MiB\""},
    {with_namespaces("{\"memory\": ^\"64MiBytes\"}"),
     "$.subsystems[0].namespaces[0].memory: \"64MiBytes\" is not a size; write bytes, or a string with KiB, MiB, GiB "
     "or "
     "TiB, such as \"64MiB\""},
    {with_namespaces("{\"memory\": ^\"16777217TiB\"}"),  // 1 TiB more than 64 bits hold
     "$.subsystems[0].namespaces[0].memory: \"16777217TiB\" is out of range; write 512 bytes to 1024 TiB"},
    {with_namespaces("{\"memory\": ^\"99999999TiB\"}"),
     "$.subsystems[0].namespaces[0].memory: \"99999999TiB\" is out of range; write 512 bytes to 1024 TiB"},
    {with_namespaces("{\"memory\": ^\"2000TiB\"}"),
     "$.subsystems[0].namespaces[0].memory: \"2000TiB\" is out of range; write 512 bytes to 1024 TiB"},
    {with_namespaces("{\"memory\": ^[]}"),
     "$.subsystems[0].namespaces[0].memory: an array where an integer is expected; write bytes, or a string with KiB, "
     "MiB, GiB or TiB, such as \"64MiB\""},
    {with_namespaces("{\"memory\": 4096, \"block_size\": ^1024}"),
     "$.subsystems[0].namespaces[0].block_size: 1024 is not allowed; write 512 or 4096"},
    {with_namespaces("{\"block\": \"/dev/sdb\", \"zero_copy\": ^true}"),
     "$.subsystems[0].namespaces[0].zero_copy: only a namespace in memory can be read by an RNIC itself; remove this "
     "key, or use \"memory\""},
    {with_namespaces("{\"dax\": \"/dev/dax0.0\", \"zero_copy\": ^true}"),
     "$.subsystems[0].namespaces[0].zero_copy: only a namespace in memory can be read by an RNIC itself; remove this "
     "key: RNICs read a device DAX themselves"},
    {with_namespaces("{\"dax\": ^\"/dev/pmem0\"}"),
     "$.subsystems[0].namespaces[0].dax: not a device DAX, such as /dev/dax0.0; write \"block\": \"/dev/pmem0\""},
    {with_namespaces("{\"block\": \"/dev/sdb\", \"block_size\": ^512}"),
     "$.subsystems[0].namespaces[0].block_size: a device has its own block size; remove this key"},
    {with_namespaces("{\"block\": \"/dev/sdb\", \"file\": ^\"/srv/a.img\"}"),
     "$.subsystems[0].namespaces[0].file: a second backend, in addition to \"block\"; keep one of them"},
    {with_namespaces("{\"nvme\": ^\"/dev/nvme0n1\"}"),
     "$.subsystems[0].namespaces[0].nvme: a block device, but \"nvme\" needs the generic character device; write "
     "\"/dev/ng0n1\", or \"block\": \"/dev/nvme0n1\""},
    {with_namespaces("{\"nvme\": ^\"/dev/nvme0\"}"),
     "$.subsystems[0].namespaces[0].nvme: an NVMe controller, not one of its namespaces; write the generic character "
     "device, such as \"/dev/ng0n1\""},
    {with_namespaces("{\"nvme\": ^\"/dev/nvme0n1p2\"}"),
     "$.subsystems[0].namespaces[0].nvme: a partition cannot be passed through; write \"block\": \"/dev/nvme0n1p2\""},
    {with_namespaces("{\"nvme\": ^7}"),
     "$.subsystems[0].namespaces[0].nvme: a number where a path or an object is expected; write the path of a "
     "generic "
     "character device, such as \"/dev/ng0n1\", or { \"serial\": \"...\" }"},
    {with_namespaces("{\"nvme\": ^{}}"), "$.subsystems[0].namespaces[0].nvme: an SSD without \"serial\"; add it"},
    {with_namespaces("{\"nvme\": {\"serial\": ^\"\"}}"),
     "$.subsystems[0].namespaces[0].nvme.serial: 0 characters; write 1 to 20 printable ASCII characters"},
    {with_namespaces("{\"nvme\": {\"serial\": \"S1\", \"nsid\": ^0}}"),
     "$.subsystems[0].namespaces[0].nvme.nsid: 0 is out of range; write an integer from 1 to 4294967294"},
    {with_namespaces("{\"nvme\": {\"serial\": \"S1\", ^\"path\": \"/dev/ng0n1\"}}"),
     "$.subsystems[0].namespaces[0].nvme.path: not a key of an SSD; write one of \"serial\" or \"nsid\""},
    {with_namespaces("{\"nvme\": {\"serial\": \"S1\"}},\n  {\"nvme\": ^{\"serial\": \"S1\"}}"),
     "$.subsystems[0].namespaces[1].nvme: the same device as $.subsystems[0].namespaces[0].nvme in line 4; give each "
     "its own"},
    {with_namespaces("{\"block\": ^\"/dev/ng0n1\"}"),
     "$.subsystems[0].namespaces[0].block: a generic character device, but \"block\" needs a block device; write "
     "\"nvme\": \"/dev/ng0n1\", or \"block\": \"/dev/nvme0n1\""},
    {with_namespaces("{\"block\": ^\"sdb\"}"),
     "$.subsystems[0].namespaces[0].block: \"sdb\" is not absolute; start the path with /"},
    {with_namespaces("{\"file\": ^\"/dev/sdb\"}"),
     "$.subsystems[0].namespaces[0].file: a device, but \"file\" needs a regular file; write \"block\": "
     "\"/dev/sdb\""},
    {with_namespaces("{\"file\": ^\"/dev/ng0n1\"}"),
     "$.subsystems[0].namespaces[0].file: a device, but \"file\" needs a regular file; write \"nvme\": "
     "\"/dev/ng0n1\""},
    {with_namespaces("{\"file\": ^\"/srv/\"}"),
     "$.subsystems[0].namespaces[0].file: \"/srv/\" is a directory; add the name of a file in it"},
    {with_namespaces("{\"file\": \"/srv/a.img\"},\n  {\"file\": ^\"/srv/./b/../a.img\"}"),
     "$.subsystems[0].namespaces[1].file: the same device as $.subsystems[0].namespaces[0].file in line 4; give each "
     "its own"},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\"},\n  {\"block\": ^\"/dev/nvme0n1\"}"),
     "$.subsystems[0].namespaces[1].block: the same device as $.subsystems[0].namespaces[0].nvme in line 4; give each "
     "its own"},
    {with_namespaces("{\"memory\": 512, \"uuid\": \"2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21\"},\n"
                     "  {\"memory\": 512, \"nguid\": ^\"2ec0a5a05b1c4d0e9d5c0a4c1e3f7b21\"}"),
     "$.subsystems[0].namespaces[1].nguid: the same NGUID as $.subsystems[0].namespaces[0].uuid in line 4; give each "
     "its own"},
    {with_namespaces("{\"memory\": 512, \"nguid\": \"2ec0a5a05b1c4d0e9d5c0a4c1e3f7b21\"},\n"
                     "  {\"memory\": 512, \"uuid\": ^\"2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21\"}"),
     "$.subsystems[0].namespaces[1].uuid: the same NGUID as $.subsystems[0].namespaces[0].nguid in line 4; give each "
     "its own"},
    {with_namespaces("{\"memory\": 512, \"uuid\": \"2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21\"},\n"
                     "  {\"memory\": 512, \"uuid\": ^\"2ec0a5a0-5b1c-4d0e-9d5c-0a4c1e3f7b21\"}"),
     "$.subsystems[0].namespaces[1].uuid: the same UUID as $.subsystems[0].namespaces[0].uuid in line 4; give each "
     "its own"},
    {with_subsystems("{\"nqn\": \"nqn.2026-01.io.example:a\", \"allow_any_host\": true, \"namespaces\":\n"
                     "  [{\"nvme\": \"/dev/ng0n1\"}]},\n"
                     "  {\"nqn\": \"nqn.2026-01.io.example:b\", \"allow_any_host\": true, \"namespaces\":\n"
                     "  [{\"block\": ^\"/dev/nvme0n1\"}]}"),
     "$.subsystems[1].namespaces[0].block: the same device is \"nvme\" in $.subsystems[0], and can be opened in one "
     "way "
     "only; name it by the same key"},
    {with_subsystems("{\"nqn\": \"nqn.2026-01.io.example:a\", \"allow_any_host\": true, \"namespaces\":\n"
                     "  [{\"file\": \"/srv/a\", \"eui64\": \"0011223344556677\"}]},\n"
                     "  {\"nqn\": \"nqn.2026-01.io.example:b\", \"allow_any_host\": true, \"namespaces\":\n"
                     "  [{\"file\": \"/srv/b\", \"eui64\": ^\"0011223344556677\"}]}"),
     "$.subsystems[1].namespaces[0].eui64: another device has the same EUI-64 in $.subsystems[0]; give each its own, "
     "because hosts would mistake one device for the other"},
    {with_namespaces("{\"nsid\": ^0, \"memory\": 512}"),
     "$.subsystems[0].namespaces[0].nsid: 0 is out of range; write an integer from 1 to 1024"},
    {with_namespaces("{\"nsid\": ^1025, \"memory\": 512}"),
     "$.subsystems[0].namespaces[0].nsid: 1025 is out of range; write an integer from 1 to 1024"},
    {with_namespaces("{\"nsid\": 2, \"memory\": 512},\n  {\"nsid\": ^2, \"memory\": 512}"),
     "$.subsystems[0].namespaces[1].nsid: the same nsid as $.subsystems[0].namespaces[0].nsid in line 4; give each its "
     "own"},
    {with_namespaces("{\"memory\": 512, \"uuid\": ^\"2ec0a5a05b1c4d0e9d5c0a4c1e3f7b21\"}"),
     "$.subsystems[0].namespaces[0].uuid: \"2ec0a5a05b1c4d0e9d5c0a4c1e3f7b21\" is not a valid UUID; write 8-4-4-4-12 "
     "hexadecimal digits; uuidgen makes one"},
    {with_namespaces("{\"memory\": 512, \"uuid\": ^\"00000000-0000-0000-0000-000000000000\"}"),
     "$.subsystems[0].namespaces[0].uuid: all zeros mean that the namespace has no UUID; remove the key"},
    {with_namespaces("{\"memory\": 512, \"nguid\": ^\"12\"}"),
     "$.subsystems[0].namespaces[0].nguid: \"12\" is not a valid NGUID; write 32 hexadecimal digits"},
    {with_namespaces("{\"memory\": 512, \"eui64\": ^\"00112233445566zz\"}"),
     "$.subsystems[0].namespaces[0].eui64: \"00112233445566zz\" is not a valid EUI-64; write 16 hexadecimal digits"},
    {with_namespaces(
         "{\"memory\": 512, \"eui64\": \"0011223344556677\"},\n  {\"memory\": 512, \"eui64\": ^\"0011223344556677\"}"),
     "$.subsystems[0].namespaces[1].eui64: the same EUI-64 as $.subsystems[0].namespaces[0].eui64 in line 4; give each "
     "its own"},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", \"p2p\": ^\"prefre\"}"),
     "$.subsystems[0].namespaces[0].p2p: \"prefre\" is not one of the choices; did you mean \"prefer\"? write \"off\", "
     "\"prefer\" or \"require\""},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", \"p2p\": ^true}"),
     "$.subsystems[0].namespaces[0].p2p: a boolean where a string is expected; write \"off\", \"prefer\" or "
     "\"require\""},
    {with_namespaces("{\"file\": \"/srv/a.img\", \"p2p\": ^\"prefer\"}"),
     "$.subsystems[0].namespaces[0].p2p: the data of a file goes through the file system, which cannot move it to a "
     "CMB; write \"off\", or "
     "use \"nvme\" or \"block\""},
    {with_namespaces("{\"memory\": 512, \"p2p\": ^\"require\"}"),
     "$.subsystems[0].namespaces[0].p2p: only an SSD can move data to a CMB, memory cannot; write \"off\", or use "
     "\"nvme\" or \"block\""},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", \"p2p\": \"require\", \"p2p_when_dry\": ^\"spill\"}"),
     "$.subsystems[0].namespaces[0].p2p_when_dry: p2p \"require\" does not allow commands to spill to DRAM; write "
     "\"wait\", or p2p "
     "\"prefer\""},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", \"p2p\": \"require\", \"p2p_min_bytes\": ^4096}"),
     "$.subsystems[0].namespaces[0].p2p_min_bytes: p2p \"require\" does not allow DRAM for short commands; write 0, or "
     "p2p "
     "\"prefer\""},
    {with_namespaces("{\"memory\": 512, \"max_iops\": ^100000001}"),
     "$.subsystems[0].namespaces[0].max_iops: 100000001 is out of range; write an integer from 0 to 100000000"},
    {with_namespaces("{\"memory\": 512, \"max_mib_per_s\": ^-1}"),
     "$.subsystems[0].namespaces[0].max_mib_per_s: -1 is out of range; write an integer from 0 to 1000000"},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", \"p2p_min_bytes\": ^2097153}"),
     "$.subsystems[0].namespaces[0].p2p_min_bytes: 2097153 is out of range; write an integer from 0 to 2097152"},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", \"p2p_provider\": ^\"0000:3b:20.0\"}"),
     "$.subsystems[0].namespaces[0].p2p_provider: \"0000:3b:20.0\" is not a PCI address; write it as lspci -D prints "
     "it, "
     "such as \"0000:3b:00.0\""},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", \"p2p_provider\": ^\"nvme1\"}"),
     "$.subsystems[0].namespaces[0].p2p_provider: \"nvme1\" is not a PCI address; write it as lspci -D prints it, such "
     "as "
     "\"0000:3b:00.0\""},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", ^\"p2p-when-dry\": \"wait\"}"),
     "$.subsystems[0].namespaces[0][\"p2p-when-dry\"]: not a key of a namespace; did you mean \"p2p_when_dry\"?"},
};

const std::vector<Broken> kUnwise = {
    {"{\"ports\": ^[], \"subsystems\": [{\"nqn\": \"nqn.2026-01.io.example:a\", \"allow_any_host\": true, "
     "\"namespaces\": [{\"memory\": 512}]}]}",
     "$.ports: an empty list: no host can connect"},
    {with_subsystems("").replace(with_subsystems("").rfind("[]"), 2, "^[]"),
     "$.subsystems: an empty list: hosts find no subsystem"},
    {with_top("\"rdma\": {\"in_capsule_data_bytes\": ^8192}"),
     "$.rdma.in_capsule_data_bytes: Linux hosts from 5.5 to 5.12 that lack a fix of June 2021 (it is in 5.10.43, "
     "5.12.10 and 5.13) fail or write wrong data when a capsule carries more than 4096 bytes; write 4096 where such "
     "hosts may connect"},
    {with_subsystems("^{\"nqn\": " + host("a") + ", \"allow_any_host\": true}"),
     "$.subsystems[0]: a subsystem without \"namespaces\": hosts find no namespace in it; add namespaces"},
    {with_subsystems("{\"nqn\": " + host("a") + ", \"allow_any_host\": true, \"namespaces\": ^[]}"),
     "$.subsystems[0].namespaces: an empty list: hosts find no namespace in this subsystem"},
    {subsystem("\"allowed_hosts\": [^\"myhost\"]"),
     "$.subsystems[0].allowed_hosts[0]: the name is no NQN: this does not begin with \"nqn.\"; Linux hosts can have it "
     "all the same, others cannot; an NQN looks like nqn.2026-01.io.example:disk1"},
    {subsystem("\"allow_any_host\": true, \"ports\": ^[]"),
     "$.subsystems[0].ports: an empty list: no host can reach this subsystem"},
    {subsystem("\"allow_any_host\": true, \"allowed_hosts\": ^[" + host("h") + "]"),
     "$.subsystems[0].allowed_hosts: this key has no effect together with \"allow_any_host\": true; keep one of them"},
    {with_subsystems("{\"nqn\": " + host("a") +
                     ", \"serial\": \"1\", \"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}]},\n" +
                     "{\"nqn\": " + host("b") +
                     ", \"serial\": ^\"1\", \"allow_any_host\": true, \"namespaces\": [{\"memory\": 512}]}"),
     "$.subsystems[1].serial: the same serial number as $.subsystems[0].serial in line 3; give each its own"},
    {with_namespaces("{\"nvme\": \"/dev/ng0n1\", \"p2p\": \"off\", \"p2p_when_dry\": ^\"wait\"}"),
     "$.subsystems[0].namespaces[0].p2p_when_dry: this key has no effect, because p2p is \"off\"; remove it, or switch "
     "p2p on"},
    {with_namespaces("{\"memory\": 512, \"p2p_provider\": ^\"0000:3b:00.0\"}"),
     "$.subsystems[0].namespaces[0].p2p_provider: this key has no effect, because p2p is \"off\"; remove it, or switch "
     "p2p on"},
    {with_namespaces("{\"block\": \"/dev/sdb\", \"p2p_min_bytes\": ^512}"),
     "$.subsystems[0].namespaces[0].p2p_min_bytes: this key has no effect, because p2p is \"off\"; remove it, or "
     "switch p2p on"},
};

std::string visible(const std::string& host_list) {
  return with_subsystems("{\"nqn\": " + host("a") + ", \"allowed_hosts\": [" + host("web-server-1") +
                         "], \"namespaces\": [{\"memory\": 512, \"visible_to\": [" + host_list + "]}]}");
}

const std::vector<Broken> kUnwiseVisibility = {
    {visible(host("web-server-1") + ", ^" + host("web-sever-1")),
     "$.subsystems[0].namespaces[0].visible_to[1]: this host may not connect to the subsystem; did you mean " +
         host("web-server-1") + "?"},
    {visible("^" + host("database")),
     "$.subsystems[0].namespaces[0].visible_to[0]: this host may not connect to the subsystem; add it to "
     "\"allowed_hosts\""},
};

void check_all(const std::vector<Broken>& cases, Severity severity) {
  for (const Broken& broken : cases) check_only(broken, severity);
}

TEST_CASE("mistakes of the file as a whole") { check_all(kMistakesOfTheWhole, Severity::error); }
TEST_CASE("mistakes in reactors and rdma") { check_all(kMistakesInReactorsAndRdma, Severity::error); }
TEST_CASE("mistakes in ports") { check_all(kMistakesInPorts, Severity::error); }
TEST_CASE("mistakes in subsystems") { check_all(kMistakesInSubsystems, Severity::error); }
TEST_CASE("mistakes in namespaces") { check_all(kMistakesInNamespaces, Severity::error); }
TEST_CASE("what is legal but unwise is a warning") {
  check_all(kUnwise, Severity::warning);
  check_all(kUnwiseVisibility, Severity::warning);
}

}  // namespace
}  // namespace nvmf::config::test
