#include "target/daemon/cli/documents.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "target/daemon/cli/roff.h"

namespace nvmf::cli {
namespace {

// A command as the user types it.
struct Word {
  const CLI::App* app;
  std::vector<std::string> path;  // without the program's own name
};

std::vector<const CLI::App*> children_of(const CLI::App& app) {
  std::vector<const CLI::App*> shown;
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!child->get_group().empty()) shown.push_back(child);
  return shown;
}

// The program itself and all its commands, outer ones first.
std::vector<Word> words_of(const CLI::App& app) {
  std::vector<Word> words{{&app, {}}};
  for (size_t i = 0; i < words.size(); ++i) {
    for (const CLI::App* child : children_of(*words[i].app)) {
      std::vector<std::string> path = words[i].path;
      path.push_back(child->get_name());
      words.push_back({child, std::move(path)});
    }
  }
  return words;
}

std::vector<const CLI::Option*> options_of(const CLI::App& app, bool positional) {
  return app.get_options([positional](const CLI::Option* one) { return one->nonpositional() != positional; });
}

// "--socket", "-c": every spelling of an option.
std::vector<std::string> spellings_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }
bool takes_file(const CLI::Option& option) {
  return option.get_type_name() == "FILE" || option.get_type_name() == "PATH";
}

std::string joined(const std::vector<std::string>& words, const std::string& separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

// What may follow a command: its commands and options.
std::vector<std::string> completions_of(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* child : children_of(app)) words.push_back(child->get_name());
  for (const CLI::Option* option : options_of(app, false))
    std::ranges::copy(spellings_of(*option), std::back_inserter(words));
  return words;
}

// roff ---------------------------------------------------------------------------------------------------------------

std::string argument_of(const CLI::Option& option) {
  const std::string name = roff(option.get_name(true));
  const std::string many = option.get_items_expected_max() > 1 ? "..." : "";
  return option.get_required() ? "\\fI" + name + "\\fR" + many : "[\\fI" + name + "\\fR" + many + "]";
}

std::string synopsis_of(const Word& word, const std::string& name) {
  std::string line = "\\fB" + roff(name + " " + joined(word.path, " ")) + "\\fR";
  if (!options_of(*word.app, false).empty()) line += " [\\fIoptions\\fR]";
  for (const CLI::Option* option : options_of(*word.app, true)) line += " " + argument_of(*option);
  return line + "\n";
}

std::string entry_of(const CLI::Option& option, bool positional) {
  std::string head;
  if (positional) {
    head = "\\fI" + roff(option.get_name(true)) + "\\fR";
  } else {
    for (const std::string& name : spellings_of(option))
      head += (head.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
    if (takes_value(option)) head += " \\fI" + roff(option.get_type_name()) + "\\fR";
  }
  const std::string standard = option.get_default_str().empty() ? "" : "; default: " + option.get_default_str();
  return ".TP\n" + head + "\n" + roff(option.get_description() + standard) + ".\n";
}

std::string entries_of(const CLI::App& app) {
  std::string text;
  for (const bool positional : {true, false})
    for (const CLI::Option* option : options_of(app, positional)) text += entry_of(*option, positional);
  return text;
}

std::string section_of(const Word& word, const std::string& name) {
  return ".SS " + roff(joined(word.path, " ")) + "\n" + synopsis_of(word, name) + ".PP\n" +
         roff(word.app->get_description()) + ".\n" + entries_of(*word.app);
}

// shells -------------------------------------------------------------------------------------------------------------

// A text in single quotes.
std::string quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += "'\\''";
    else
      quoted += c;
  }
  return quoted + "'";
}

// A shell pattern for every command that has commands or options of its own: "'add'|'add port'".
std::string commands_pattern(const CLI::App& app) {
  std::vector<std::string> patterns;
  for (const Word& word : words_of(app))
    if (!word.path.empty()) patterns.push_back(quoted(joined(word.path, " ")));
  return joined(patterns, "|");
}

// The lines of a case statement: what follows each command.
std::string cases_of(const CLI::App& app, const std::string& assignment, const std::string& open,
                     const std::string& close) {
  std::string text;
  for (const Word& word : words_of(app))
    text.append("    ")
        .append(quoted(joined(word.path, " ")))
        .append(") ")
        .append(assignment)
        .append(open)
        .append(joined(completions_of(*word.app), " "))
        .append(close)
        .append(" ;;\n");
  return text;
}

// Which of the words typed so far are commands, for a POSIX-like shell: in $command.
std::string find_command(const CLI::App& app, const std::string& loop) {
  return "  local command='' word\n  " + loop +
         "; do\n"
         "    case \"${command:+$command }$word\" in\n"
         "      " +
         commands_pattern(app) + ") command=\"${command:+$command }$word\" ;;\n    esac\n  done\n";
}

}  // namespace

std::string manual_page(const CLI::App& app, const Manual& manual) {
  std::string text = title_line(manual.name, 1, manual.name + " " + manual.version);
  text += ".SH NAME\n" + roff(manual.name) + " \\- " + roff(app.get_description()) + "\n";
  text += ".SH SYNOPSIS\n\\fB" + roff(manual.name) + "\\fR \\fIcommand\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]\n";
  text += ".SH DESCRIPTION\n" + roff(manual.description) + "\n";
  text += ".SH OPTIONS\n" + entries_of(app);
  text += ".SH COMMANDS\n";
  for (const Word& word : words_of(app))
    if (!word.path.empty() && word.app->get_require_subcommand_min() == 0) text += section_of(word, manual.name);
  text += ".SH EXIT STATUS\n";
  text += roff(app.get_footer()) + "\n";
  text += ".SH SEE ALSO\n.BR " + roff(manual.name) + ".json (5)\n";
  return text;
}

// Readline divides words at colons and equals signs, too: NQNs have colons. Only what comes after the last of these is
// replaced by a candidate. What the daemon says is data: it must never be expanded, as `compgen -W` does.
std::string bash_completion(const CLI::App& app, const std::string& name) {
  return "# bash completion of " + name + R"(
_nvmf_p2p() {
  local word words='' current last=''
  local -a typed=() live=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ ${#typed[@]} -gt 0 && ( $word == [:=]* || $last == *[:=] ) ]]; then
      typed[-1]+=$word
    else
      typed+=("$word")
    fi
    last=$word
  done
  current=${typed[-1]}
  [[ $last == *[!:=]* ]] || last=''
)" + find_command(app, "for word in \"${typed[@]::${#typed[@]}-1}\"") +
         "  case \"$command\" in\n" + cases_of(app, "words=", "'", "'") + R"(  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ $current != -* ]]; then
    mapfile -t live < <("${COMP_WORDS[0]}" complete "${typed[@]}" 2>/dev/null)
    COMPREPLY+=("${live[@]#"${current%"$last"}"}")
  fi
  if [[ ${#COMPREPLY[@]} -eq 0 && $last != -* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$last")
  fi
}
complete -F _nvmf_p2p )" +
         name + "\n";
}

std::string zsh_completion(const CLI::App& app, const std::string& name) {
  return "#compdef " + name +
         "\n_nvmf_p2p() {\n"
         "  local -a candidates live\n" +
         find_command(app, "for word in \"${(@)words[2,CURRENT-1]}\"") + "  case \"$command\" in\n" +
         cases_of(app, "candidates=", "(", ")") + R"zsh(  esac
  compadd -a candidates
  if [[ $words[CURRENT] != -* ]]; then
    live=(${(f)"$("${(Q)words[1]}" complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"})
    compadd -a live
    _files
  fi
}
_nvmf_p2p "$@"
)zsh";
}

std::string fish_completion(const CLI::App& app, const std::string& name) {
  std::string text = "# fish completion of " + name +
                     "\nfunction __nvmf_p2p_at\n"
                     "  set -l command\n"
                     "  for word in (commandline -opc)[2..-1]\n"
                     "    if contains -- (string join ' ' $command $word) ";
  for (const Word& word : words_of(app))
    if (!word.path.empty()) text += quoted(joined(word.path, " ")) + " ";
  text +=
      "\n      set -a command $word\n"
      "    end\n"
      "  end\n"
      "  test (string join ' ' $command) = \"$argv[1]\"\n"
      "end\n"
      "function __nvmf_p2p_live\n"
      "  set -l words (commandline -opc)\n"
      "  set -l current (commandline -ct)\n"
      "  string match -q -- '-*' \"$current\"; and return\n"
      "  command $words[1] complete $words[2..-1] \"$current\" 2>/dev/null\n"
      "end\n";
  text += "complete -c " + name + " -a '(__nvmf_p2p_live)'\n";
  for (const Word& word : words_of(app)) {
    const std::string at = "complete -c " + name + " -n " + quoted("__nvmf_p2p_at " + quoted(joined(word.path, " ")));
    const auto children = children_of(*word.app);
    for (const CLI::App* child : children)
      text += at + " -f -a " + child->get_name() + " -d " + quoted(child->get_description()) + "\n";
    for (const CLI::Option* option : options_of(*word.app, false)) {
      text += at;
      for (const std::string& letter : option->get_snames()) text += " -s " + letter;
      for (const std::string& long_name : option->get_lnames()) text += " -l " + long_name;
      if (takes_value(*option)) text += takes_file(*option) ? " -r -F" : " -x";
      text += " -d " + quoted(option->get_description()) + "\n";
    }
  }
  return text;
}

}  // namespace nvmf::cli
