#include "config/document.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/lexical.h"
#include "config/parse.h"
#include "config/syntax.h"
#include "config/wording.h"

namespace nvmf::config {
namespace {

// After this many errors the parser stops looking for more.
constexpr size_t kMaxCorrections = 32;

// Builds the tree from the events of nlohmann's parser, in the order of the text.
class TreeBuilder {
 public:
  // `text` is parsed; `original`, of the same length, has the line ends.
  TreeBuilder(std::string_view text, std::string_view original, uint32_t file) : text_(text), locator_(original, file) {
    if (has_byte_order_mark(text)) end_ = 3;
  }

  bool null() { return leaf(std::monostate{}); }
  bool boolean(bool value) { return leaf(value); }
  bool number_integer(int64_t value) { return leaf(value); }
  bool number_unsigned(uint64_t value) { return leaf(value); }
  bool number_float(double value, const std::string& /*text*/) { return leaf(value); }
  bool string(std::string& value) { return leaf(std::move(value)); }
  bool binary(const nlohmann::json::binary_t& /*never in a text*/) { return false; }
  bool start_object(size_t /*unknown*/) { return open(Object{}); }
  bool start_array(size_t /*unknown*/) { return open(Array{}); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& key) {
    const Position position = next_token();
    std::get<Object>(open_.back()->data).push_back({std::move(key), position, {}});
    behind_key_ = true;
    return true;
  }

  bool parse_error(size_t /*offset*/, const std::string& /*token*/, const nlohmann::json::exception& /*what*/) {
    const SyntaxContext context = this->context();
    fault_ = explain_syntax(text_, end_, context);
    return false;
  }

  // Why parsing ended early.
  SyntaxFault fault() const { return fault_.value_or(SyntaxFault{}); }
  SyntaxError error() {
    const SyntaxFault why = fault();
    return {locator_.at(why.offset), path(why), why.problem, why.remedy};
  }

  Value take_root() { return std::move(root_); }

 private:
  // Where the token that was just reported begins.
  Position next_token() {
    const size_t begin = skip_separators(text_, end_);
    end_ = skip_token(text_, begin);
    return locator_.at(begin);
  }

  // Puts a new value where the next one belongs.
  template <class Data>
  Value& place(Data&& data) {
    Value value{next_token(), std::forward<Data>(data)};
    if (open_.empty()) return root_ = std::move(value);
    if (auto* array = std::get_if<Array>(&open_.back()->data)) return array->emplace_back(std::move(value));
    behind_key_ = false;
    return std::get<Object>(open_.back()->data).back().value = std::move(value);
  }

  template <class Data>
  bool leaf(Data&& data) {
    place(std::forward<Data>(data));
    complete_ = open_.empty();
    return true;
  }

  template <class Data>
  bool open(Data&& data) {
    if (open_.size() == kMaxDepth) return too_deep();
    Value& value = place(std::forward<Data>(data));
    open_.push_back(&value);
    return true;
  }

  bool close() {
    next_token();
    open_.pop_back();
    complete_ = open_.empty();
    return true;
  }

  bool too_deep() {
    fault_ = SyntaxFault{skip_separators(text_, end_),
                         "nested deeper than " + std::to_string(kMaxDepth) + " objects and arrays",
                         "no key of the config is nested that deep"};
    return false;
  }

  SyntaxContext context() const {
    SyntaxContext context;
    context.expected = expected();
    if (open_.empty()) return context;
    context.opened = open_.back()->position;
    context.in_array = open_.back()->as<Array>() != nullptr;
    const auto* object = open_.back()->as<Object>();
    if (object != nullptr && !object->empty()) context.key = object->back().key;
    return context;
  }

  Expected expected() const {
    if (complete_) return Expected::end_of_file;
    if (open_.empty()) return Expected::root;
    if (behind_key_) return Expected::colon;
    if (const auto* array = open_.back()->as<Array>()) {
      return array->empty() ? Expected::value_or_end : Expected::comma_or_end_of_array;
    }
    return open_.back()->as<Object>()->empty() ? Expected::key_or_end : Expected::comma_or_end_of_object;
  }

  // The value or container that `why` is about.
  std::string path(const SyntaxFault& why) const {
    std::string path = "$";
    for (const Value* value : open_) {
      const bool innermost = value == open_.back();
      if (innermost && why.subject == Subject::container) break;
      append_step(path, *value, innermost && why.subject == Subject::next_value);
    }
    return path;
  }

  // From an object or array to the last value in it, or to the one that comes next.
  void append_step(std::string& path, const Value& value, bool to_next) const {
    if (const auto* array = value.as<Array>()) {
      append_index(path, to_next ? array->size() : array->size() - 1);
    } else if (!to_next || behind_key_) {
      append_key(path, value.as<Object>()->back().key);
    }
  }

  std::string_view text_;
  Locator locator_;
  size_t end_ = 0;  // After the last token.
  Value root_;
  std::vector<Value*> open_;  // Objects and arrays not closed yet; only the innermost grows, so they stay put.
  bool behind_key_ = false;
  bool complete_ = false;
  std::optional<SyntaxFault> fault_;
};

std::optional<SyntaxError> not_text(std::string_view text, uint32_t file) {
  const size_t nul = text.find('\0');
  if (nul == std::string_view::npos) return std::nullopt;
  return SyntaxError{Locator(text, file).at(nul), "$", "a NUL byte: this is not a text file", "name a JSON file"};
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  const auto* object = as<Object>();
  if (object == nullptr) return nullptr;
  for (const Member& member : *object) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

const Array& elements(const Value& object, std::string_view key) {
  static const Array none;
  const Value* member = object.find(key);
  const Array* array = member != nullptr ? member->as<Array>() : nullptr;
  return array != nullptr ? *array : none;
}

std::string_view Value::type_name() const {
  constexpr std::array<std::string_view, 8> names = {
      "null", "a boolean", "a number", "a number", "a number with a fraction", "a string", "an array", "an object"};
  return names[data.index()];
}

Document read_document(std::string_view text, uint32_t file) {
  Document document;
  if (auto error = not_text(text, file)) {
    document.errors.push_back(std::move(*error));
    return document;
  }
  std::string corrected(text);
  while (true) {
    TreeBuilder builder(corrected, text, file);
    if (nlohmann::json::sax_parse(corrected, &builder, nlohmann::json::input_format_t::json, true, true)) {
      document.root = builder.take_root();
      return document;
    }
    document.errors.push_back(builder.error());
    const std::optional<Correction> correction = builder.fault().correction;
    if (!correction || document.errors.size() > kMaxCorrections) return document;
    corrected[correction->offset] = correction->byte;
  }
}

}  // namespace nvmf::config
