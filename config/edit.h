// Changes to a config while it is still JSON, so that the result is parsed and compared like an edited file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "config/config.h"
#include "config/parse.h"
#include "config/sources.h"

namespace nvmf::config {

// Keeps the order of the keys.
using Json = nlohmann::ordered_json;

// A change that this config does not allow.
class EditError : public std::runtime_error {
 public:
  enum class Kind : uint8_t { Absent, Present, Malformed };
  EditError(Kind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

// The JSON of what parse() took as `config`: the config file with the subsystems of its drop-ins. Every namespace has
// its "nsid": an nsid that the file leaves out depends on the other namespaces, and must not change when they are
// removed.
Json editable(const Sources& sources, const Config& config);
// The JSON of one of the files, as it stands there.
Json document_of(const SourceFile& file);

// The text of a config file or a drop-in. Comments of the file it came from are lost.
std::string text_of(const Json& document);

// All files of a config in one text, and the files of such a text again. The latter throws nlohmann's exceptions.
std::string text_of(const Sources& sources);
Sources sources_of(const std::string& text);

// Takes the positions out of what parse_unseen() made of text_of(), and of what was added to its messages: nobody has
// seen that text.
void forget_positions(Result& parsed);

// The changes. Each throws EditError.
Json& find_port(Json& document, uint64_t id);
Json& find_subsystem(Json& document, const std::string& nqn);
Json& find_namespace(Json& document, const std::string& nqn, uint64_t nsid);

void add_port(Json& document, Json port);
void remove_port(Json& document, uint64_t id);
void add_subsystem(Json& document, Json subsystem);
void remove_subsystem(Json& document, const std::string& nqn);
// A namespace without "nsid" gets the lowest free one. Returns the nsid.
uint64_t add_namespace(Json& document, const std::string& nqn, Json space);
void remove_namespace(Json& document, const std::string& nqn, uint64_t nsid);
void allow_host(Json& document, const std::string& nqn, const std::string& hostnqn);
void deny_host(Json& document, const std::string& nqn, const std::string& hostnqn);

// Sets the keys of `patch`, and removes those that are null there (RFC 7386). Lists are set as a whole.
void set(Json& object, const Json& patch);

}  // namespace nvmf::config
