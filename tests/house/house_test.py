#!/usr/bin/env python3
"""The house rules that a compiler does not check: which folder may include which, and what the hot path must not use."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The floors of the core, lowest first: none includes a higher one.
FLOORS = ["target/core/reactor", "target/core/datapath", "target/core/subsystem", "target/core/command"]
CORE = {*FLOORS, "target/nvme"}

# Each folder with what it may include besides itself, and libraries of others that it must not know.
MAY_INCLUDE = {
    "config": set(),
    "target/nvme": set(),
    **{floor: {*FLOORS[:i], "target/nvme"} for i, floor in enumerate(FLOORS)},
    "target/auth": {*CORE},
    "target/backend": {*CORE},
    "transport/verbs": set(),
    "transport/rdma": {"transport/verbs", *CORE},
    "p2p": {"transport/verbs", *CORE},
    "target/daemon/cli": {"config"},
    "target/daemon": {"config", *CORE, "target/auth", "target/backend", "target/daemon/cli", "transport/verbs", "transport/rdma", "p2p"},
}
MUST_NOT_KNOW = {
    "config": r"infiniband|rdma/|boost|spdlog|liburing|openssl",
    "target/nvme": r"infiniband|rdma/|boost|nlohmann|spdlog|liburing|openssl",
    **{floor: r"infiniband|rdma/|boost|nlohmann|spdlog|liburing|openssl" for floor in FLOORS},
    "target/auth": r"infiniband|rdma/|boost|nlohmann|spdlog|liburing",
    "target/backend": r"infiniband|rdma/|boost|nlohmann|spdlog|openssl",
    "transport/verbs": r"boost|nlohmann|spdlog|liburing|openssl",
    "transport/rdma": r"nlohmann|spdlog|liburing|openssl",
    "p2p": r"boost|spdlog|liburing|openssl",
    "target/daemon/cli": r"infiniband|rdma/|spdlog|liburing|openssl",
}

# What runs for every command or every turn: marked at its head with HOT_PATH_MARK, and named in the README. Set-up and
# teardown of queues are elsewhere.
HOT_PATH_MARK = "// HOT PATH"
HOT_PATH = [
    "target/core/reactor/reactor_datapath.cpp",
    "target/core/reactor/mailbox.cpp",
    "target/core/reactor/poll_budget.cpp",
    "target/core/command/command.cpp",
    "target/core/command/io_command.cpp",
    "target/core/command/compare.cpp",
    "target/core/command/copy.cpp",
    "target/core/command/zone_command.cpp",
    "target/core/command/fused.cpp",
    "target/core/datapath/sgl.cpp",
    "target/core/datapath/memory_policy.cpp",
    "target/core/datapath/buffer_pool.cpp",
    "target/core/datapath/waiting_requests.cpp",
    "target/core/datapath/rate_limit.cpp",
    "target/core/datapath/io_counters.cpp",
    "transport/rdma/waiting_capsules.cpp",
    "transport/rdma/poll_group_limits.cpp",
    "transport/rdma/poll_group_datapath.cpp",
    "transport/rdma/poll_group_answer_datapath.cpp",
    "target/backend/engine_datapath.cpp",
    "target/backend/nvme_channel.cpp",
    "target/backend/block_channel.cpp",
    "target/backend/memory_channel.cpp",
]
NOT_ON_HOT_PATH = {
    "lock": r"\bstd::(mutex|lock_guard|unique_lock|scoped_lock|condition_variable)\b",
    "allocation": r"\bnew\b(?! \()|\bmalloc\(|make_unique|make_shared|push_back|emplace_back|std::string\b|std::function",
    "exception": r"\bthrow\b|\btry\b|\bcatch\b",
    "log call": r"spdlog|std::cerr|std::cout|fprintf",
    "event loop": r"boost::asio",
    "JSON": r"nlohmann",
}

# An algorithm of <algorithm> over all of a container, which std::ranges takes by its name. No check of clang-tidy 14 sees
# it, and clang 14 cannot compile those of std::ranges that return a subrange.
WHOLE_RANGE = re.compile(
    r"std::(?!equal|accumulate|iota|inner_product|reduce|unique|remove|rotate|partition)\w+\(\s*([\w.\[\]:>-]+?(?:\(\))?)(\.|->)c?begin\(\),\s*\1\2c?end\(\)")


def sources(folder):
    return sorted(path for pattern in ("*.h", "*.cpp") for path in (ROOT / folder).glob(pattern))


def includes(path):
    return re.findall(r'^#include [<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


def library_of(include):
    return next((name for name in sorted(MAY_INCLUDE, key=len, reverse=True) if include.startswith(name + "/")), None)


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


class House(unittest.TestCase):
    def test_every_source_folder_has_its_rule(self):
        found = {str(path.parent.relative_to(ROOT)) for top in ("config", "target", "transport", "p2p")
                 for path in (ROOT / top).rglob("*.cpp")}
        self.assertEqual(found - set(MAY_INCLUDE), set())

    def test_include_arrows_go_one_way(self):
        for folder, allowed in MAY_INCLUDE.items():
            for path in sources(folder):
                for include in includes(path):
                    library = library_of(include)
                    if library not in (None, folder):
                        self.assertIn(library, allowed, f"{path.relative_to(ROOT)} includes {include}")

    def test_libraries_stay_where_they_belong(self):
        for folder, pattern in MUST_NOT_KNOW.items():
            for path in sources(folder):
                for include in includes(path):
                    self.assertIsNone(re.match(pattern, include), f"{path.relative_to(ROOT)} includes {include}")

    def test_the_hot_path_does_not_lock_allocate_throw_or_log(self):
        for name in HOT_PATH:
            lines = without_comments((ROOT / name).read_text()).splitlines()
            for number, line in enumerate(lines, 1):
                for what, pattern in NOT_ON_HOT_PATH.items():
                    self.assertIsNone(re.search(pattern, line), f"{name}:{number}: {what} on the hot path: {line.strip()}")

    def test_a_file_is_marked_as_hot_path_exactly_when_it_is_listed(self):
        marked = {str(path.relative_to(ROOT)) for folder in MAY_INCLUDE for path in sources(folder)
                  if path.read_text().startswith(HOT_PATH_MARK)}
        self.assertEqual(marked, set(HOT_PATH))

    def test_the_readme_names_exactly_the_hot_path(self):
        readme = (ROOT / "README.md").read_text()
        table = re.search(r"^\*\*The hot path\*\*[^\n]*\n\n((?:\|[^\n]*\n)+)", readme, re.MULTILINE)
        self.assertIsNotNone(table, "README.md has no table of the hot path")
        self.assertEqual(set(re.findall(r"`([^`]+\.cpp)`", table[1])), set(HOT_PATH))

    def test_whole_ranges_go_to_algorithms_of_std_ranges(self):
        for top in ("config", "target", "transport", "p2p", "tests"):
            for path in sorted((ROOT / top).rglob("*.cpp")) + sorted((ROOT / top).rglob("*.h")):
                found = WHOLE_RANGE.search(path.read_text())
                self.assertIsNone(found, f"{path.relative_to(ROOT)}: {found and found[0]}...: write std::ranges::")

    def test_the_code_of_the_self_test_is_all_of_it(self):
        """A proof of another build is taken over when its self-test had the same code."""
        listed = set(re.findall(r"\b(?:p2p|transport/verbs)/\w+", re.search(r"foreach\(name (.*?)\)", (ROOT / "p2p/CMakeLists.txt").read_text(), re.DOTALL)[1]))
        # Not code that moves or compares bytes.
        elsewhere = {"p2p/file_rights", "p2p/sysfs", "p2p/pci", "transport/verbs/cm"}
        for name in sorted(listed):
            for path in (ROOT / f"{name}.h", ROOT / f"{name}.cpp"):
                for include in includes(path) if path.exists() else []:
                    if library_of(include) in ("p2p", "transport/verbs"):
                        self.assertIn(include.removesuffix(".h"), listed | elsewhere, f"{path.relative_to(ROOT)} includes {include}: add it to p2p/CMakeLists.txt")

    def test_no_catch_all_names(self):
        for top in ("config", "target", "transport", "p2p", "tests"):
            for path in (ROOT / top).rglob("*"):
                self.assertNotRegex(path.stem, r"^(utils?|helpers?|common|manager|misc)$", f"{path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
