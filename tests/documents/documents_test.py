#!/usr/bin/env python3
"""The manual page and the shells' completions say what the program takes: documents_test.py PROGRAM."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = sys.argv.pop() if len(sys.argv) > 1 else ""


def run(*arguments, **options):
    return subprocess.run(arguments, check=True, capture_output=True, text=True, **options).stdout


def commands(path=()):
    """Every command of the program, as --help lists them: the path of words to it, with its help text."""
    said = run(PROGRAM, *path, "--help")
    yield path, said
    _, _, listed = said.partition("\nSubcommands:\n")
    for word in re.findall(r"^  ([a-z][\w-]*)", listed, re.MULTILINE):
        yield from commands((*path, word))


HELP = dict(commands())


def options(said):
    """Every spelling of every option that a help text lists."""
    return {name for names in re.findall(r"^  (-\S+)", said, re.MULTILINE) for name in names.split(",")}


class Documents(unittest.TestCase):
    def test_the_help_lists_the_commands(self):
        self.assertLess({(), ("run",), ("status",), ("add", "namespace"), ("top",)}, set(HELP))
        self.assertIn("--socket", options(HELP[("status",)]))
        self.assertNotIn(("generate",), HELP)

    def test_the_help_of_the_program_tells_the_exit_statuses(self):
        self.assertRegex(HELP[()], r"0: .* 1: .* 2: ")

    def test_the_manual_page_has_every_command_with_its_options(self):
        page = run(PROGRAM, "generate", "man")
        sections = dict(re.findall(r"^\.SS (.*)\n((?:(?!\.SS|\.SH).*\n)*)", page, re.MULTILINE))
        for path, said in HELP.items():
            if not path or re.search(r"^Usage: .* SUBCOMMAND$", said, re.MULTILINE):
                continue  # it needs a further word
            section = sections.pop(" ".join(path).replace("-", "\\-"))
            found = set(re.findall(r"\\fB(-.*?)\\fR", section.replace("\\-", "-")))
            self.assertEqual(found, options(said), f"options of {path}")
        self.assertEqual(sections, {})

    def test_the_manual_pages_are_well_formed(self):
        for what in ("man", "man-config"):
            page = run(PROGRAM, "generate", what)
            said = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, check=True)
            self.assertEqual(said.stderr, "", what)
            if shutil.which("mandoc"):
                said = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=page, capture_output=True, text=True, check=False)
                self.assertEqual(said.stdout + said.stderr, "", what)

    def test_the_manual_page_of_the_config_has_every_key_of_the_schema(self):
        page = run(PROGRAM, "generate", "man-config").replace("\\-", "-")
        sections = dict(re.findall(r"^\.S[SH] (.*)\n((?:(?!\.SS|\.SH).*\n)*)", page, re.MULTILINE))

        def check(path, schema):
            if "properties" in schema:
                section = sections[path or "KEYS OF THE FILE"]
                self.assertEqual(re.findall(r"^\\fB(.*?)\\fR \(", section, re.MULTILINE), list(schema["properties"]), path)
                for key, value in schema["properties"].items():
                    if "description" in value:
                        self.assertIn(value["description"], section)
                    if "default" in value:
                        self.assertIn(f"default: {json.dumps(value['default'])}", section)
                    check(f"{path}.{key}".lstrip(".") + ("[]" if "items" in value else ""), value)
                return  # what else it has are conditions
            for inner in schema.get("anyOf", []):
                check(path + ("[]" if "items" in inner else ""), inner)
            if "items" in schema:
                check(path, schema["items"])

        self.assertNotRegex(page, r"fR \(\)|: [;)]|list of at most \d+: object")
        check("", json.loads((ROOT / "config/schema.json").read_text()))

    def test_bash_offers_every_command_and_option(self):
        script = run(PROGRAM, "generate", "bash")
        for path, said in HELP.items():
            line = " ".join(f"'{word}'" for word in ("nvmf-p2p", *path, ""))
            asked = f"COMP_WORDS=({line}); COMP_CWORD={len(path) + 1}; _nvmf_p2p; printf '%s\\n' \"${{COMPREPLY[@]}}\""
            offered = set(run("bash", "-c", f"{script}\n{asked}").split())
            below = {deeper[-1] for deeper in HELP if deeper[:-1] == path and deeper}
            self.assertEqual(offered, below | options(said), f"after {path}")

    def test_bash_completes_a_word(self):
        script = run(PROGRAM, "generate", "bash")
        asked = "COMP_WORDS=(nvmf-p2p add --socket x na); COMP_CWORD=4; _nvmf_p2p; echo \"${COMPREPLY[@]}\""
        self.assertEqual(run("bash", "-c", f"{script}\n{asked}").strip(), "namespace")

    def test_zsh_and_fish_name_every_command_and_option(self):
        zsh, fish = (run(PROGRAM, "generate", shell) for shell in ("zsh", "fish"))
        for path, said in HELP.items():
            case = re.search(rf"^    '{' '.join(path)}'\) candidates=\((.*)\) ;;$", zsh, re.MULTILINE)
            below = {deeper[-1] for deeper in HELP if deeper[:-1] == path and deeper}
            self.assertEqual(set(case.group(1).split()), below | options(said), f"zsh after {path}")
            at = f"__nvmf_p2p_at '\\''{' '.join(path)}'\\'''"
            lines = [line for line in fish.splitlines() if at in line]
            named = {word for line in lines for word in re.findall(r" -f -a (\S+)", line)}
            named |= {f"--{word}" for line in lines for word in re.findall(r" -l (\S+)", line)}
            named |= {f"-{word}" for line in lines for word in re.findall(r" -s (\S+)", line)}
            self.assertEqual(named, below | options(said), f"fish after {path}")

    def test_the_shells_can_read_their_completions(self):
        for shell in ("bash", "zsh", "fish"):
            if shutil.which(shell):
                run(shell, "-n", "/dev/stdin", input=run(PROGRAM, "generate", shell))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
