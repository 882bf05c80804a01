#include "tensorfile/unpickle.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <optional>

#include "tensorfile/storage.hpp"

namespace xtasc::tensorfile {

namespace {

/// A state_dict of a thousand tensors takes 0.2 MiB.
constexpr std::size_t kMaxBytes = std::size_t{8} << 20;
constexpr std::size_t kMaxMemos = std::size_t{1} << 20;

/// The machine that the opcodes drive: a stack, marks in it, and a memo.
class Unpickler {
 public:
  Unpickler(std::string_view bytes, const PersistentLoader& load_persistent)
      : bytes_(bytes), load_persistent_(load_persistent) {}

  Pickle run() && {
    while (true) {
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == '.') {
        pickle_.root = pop();
        pickle_.num_bytes = position_;
        return std::move(pickle_);
      }
      step(opcode);
    }
  }

 private:
  std::string_view take(std::size_t count) {
    check(count <= bytes_.size() - position_, "malformed pickle: it ends too early");
    check(position_ + count <= kMaxBytes,
          "its pickle has more than {} MiB, as where it holds NumPy arrays: save tensors, torch.save({{k: "
          "torch.as_tensor(v) for k, v in torch.load(FILE, weights_only=False).items()}}, NEW)",
          kMaxBytes >> 20);
    const std::string_view piece = bytes_.substr(position_, count);
    position_ += count;
    return piece;
  }

  template <typename T>
  T number() {
    static_assert(std::endian::native == std::endian::little);
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string_view line() {
    const auto end = bytes_.find('\n', position_);
    check(end != std::string_view::npos, "malformed pickle: it ends too early");
    const std::string_view text = take(end - position_);
    take(1);
    return text;
  }

  void push(PickleValue value) { stack_.push_back(std::move(value)); }

  PickleValue pop() {
    check(!stack_.empty(), "malformed pickle: the stack is empty");
    PickleValue value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }

  PickleValue& top() {
    check(!stack_.empty(), "malformed pickle: the stack is empty");
    return stack_.back();
  }

  void push_list(PickleList items) { push({&pickle_.lists.emplace_back(std::move(items))}); }

  void push_global(std::string_view module, std::string_view name) { push({PickleGlobal{module, name}}); }

  [[nodiscard]] bool top_is_opaque() { return std::holds_alternative<PickleOpaque>(top().data); }

  PickleList pop_to_mark() {
    check(!marks_.empty() && marks_.back() <= stack_.size(), "malformed pickle: no mark");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    PickleList items(std::make_move_iterator(begin), std::make_move_iterator(stack_.end()));
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void push_tuple(std::size_t count) {
    PickleList items(count);
    for (std::size_t i = count; i > 0; --i) {
      items[i - 1] = pop();
    }
    push_list(std::move(items));
  }

  void set_items(const PickleList& items) {
    check(items.size() % 2 == 0, "malformed pickle: a key without a value");
    if (top_is_opaque()) {
      return;
    }
    PickleDict& dict = *pickle_as<PickleDict*>(top(), "a dictionary");
    for (std::size_t i = 0; i < items.size(); i += 2) {
      dict.emplace_back(items[i], items[i + 1]);
    }
  }

  void append(const PickleList& items) {
    if (top_is_opaque()) {
      return;
    }
    PickleList& list = *pickle_as<PickleList*>(top(), "a list");
    list.insert(list.end(), items.begin(), items.end());
  }

  void memoise(std::uint32_t index) {
    check(memo_.size() < kMaxMemos, "its pickle remembers more than {} values", kMaxMemos);
    memo_[index] = top();
  }

  void recall(std::uint32_t index) {
    const auto found = memo_.find(index);
    check(found != memo_.end(), "malformed pickle: memo {} was never set", index);
    push(found->second);
  }

  /// Makes tensors, parameters and dictionaries; no other call is made.
  void call() {
    const PickleValue arguments_value = pop();
    const PickleValue function = pop();
    auto* const* arguments = std::get_if<PickleList*>(&arguments_value.data);
    check(arguments != nullptr, "malformed pickle: a tuple or list expected");
    const auto* global = std::get_if<PickleGlobal>(&function.data);
    if (global != nullptr) {
      push(made_by(*global, **arguments));
    } else {  // what a call gave is called, or a text by a stranger's hand
      const auto* opaque = std::get_if<PickleOpaque>(&function.data);
      check(opaque != nullptr, "malformed pickle: a function expected");
      push({*opaque});
    }
  }

  PickleValue made_by(const PickleGlobal& function, const PickleList& arguments) {
    const auto& [module, name] = function;
    const bool is_parameter =
        (module == "torch.nn.parameter" && name == "Parameter") ||
        (module == "torch._utils" && (name == "_rebuild_parameter" || name == "_rebuild_parameter_with_state"));
    if (module == "collections" && name == "OrderedDict") {
      return {make_dict(arguments)};
    }
    if (std::optional<PickleValue> tensor = rebuild_tensor(function, arguments)) {
      return *std::move(tensor);
    }
    // A tensor with attributes of its own: (the function that makes it, its type, that function's arguments,
    // attributes)
    if (module == "torch._tensor" && name == "_rebuild_from_type_v2" && arguments.size() == 4) {
      const auto* maker = std::get_if<PickleGlobal>(&arguments[0].data);
      std::optional<PickleValue> tensor;
      if (maker != nullptr) {
        tensor = rebuild_tensor(*maker, pickle_list(arguments[2]));
      }
      if (tensor) {
        return *std::move(tensor);
      }
    }
    if (is_parameter) {
      if (!arguments.empty() && std::holds_alternative<PickleOpaque>(arguments[0].data)) {
        return arguments[0];
      }
      return {arguments.empty() ? at::Tensor() : pickle_as<at::Tensor>(arguments[0], "a tensor")};
    }
    return {PickleOpaque{module, name}};
  }

  /// OrderedDict(), or Python 2's OrderedDict([[key, value], ...])
  PickleDict* make_dict(const PickleList& arguments) {
    PickleDict& dict = pickle_.dicts.emplace_back();
    if (!arguments.empty()) {
      for (const PickleValue& entry : pickle_list(arguments[0])) {
        const PickleList& pair = pickle_list(entry);
        check(pair.size() == 2, "malformed pickle: a key without a value");
        dict.emplace_back(pair[0], pair[1]);
      }
    }
    return &dict;
  }

  /// Attributes of an object, such as a state_dict's _metadata, are not needed. But the first versions of PyTorch made
  /// a parameter empty and gave it its tensor here: (data, gradient, hooks, requires_grad, volatile). Source:
  /// https://github.com/pytorch/pytorch/blob/v2.11.0/torch/_tensor.py (Tensor.__setstate__, "legacy").
  void build() {
    const PickleValue state = pop();
    if (const auto* tensor = std::get_if<at::Tensor>(&top().data); tensor != nullptr && !tensor->defined()) {
      const PickleList& parts = pickle_list(state);
      check(parts.size() == 5, "malformed pickle: a parameter without a tensor");
      const bool known = !std::holds_alternative<PickleOpaque>(parts[0].data);
      top() = known ? PickleValue{pickle_as<at::Tensor>(parts[0], "a tensor")} : parts[0];
    }
    auto* opaque = std::get_if<PickleOpaque>(&top().data);
    auto* const* attributes = std::get_if<PickleDict*>(&state.data);
    const bool is_object = opaque != nullptr && opaque->kind == PickleOpaque::Kind::object;
    if (is_object && attributes != nullptr && std::ranges::any_of(**attributes, is_modules)) {
      opaque->kind = PickleOpaque::Kind::net;
    }
  }

  /// Whether an object's attribute is the one that every torch.nn.Module has.
  static bool is_modules(const std::pair<PickleValue, PickleValue>& attribute) {
    const auto* name = std::get_if<std::string_view>(&attribute.first.data);
    return name != nullptr && *name == "_modules";
  }

  void step(unsigned char opcode) {
    switch (opcode) {
      case 0x80: {
        const auto protocol = number<std::uint8_t>();
        check(protocol >= 2 && protocol <= 5, "its pickle is of protocol {}, 2 to 5 are known", protocol);
        break;
      }
      case '(':
        marks_.push_back(stack_.size());
        break;
      case 0x95:  // a frame, which says how much could be read at once
        number<std::uint64_t>();
        break;
      case '}':
        push({make_dict({})});
        break;
      case ']':
      case ')':
      case 0x8f:  // a set, which is a list here
        push_list({});
        break;
      case 't':
      case 0x91:  // a frozen set
        push_list(pop_to_mark());
        break;
      case 0x85:
      case 0x86:
      case 0x87:
        push_tuple(opcode - 0x84U);
        break;
      case 'N':
        push({});
        break;
      case 0x88:
      case 0x89:
        push({opcode == 0x88});
        break;
      case 'K':
        push({std::int64_t{number<std::uint8_t>()}});
        break;
      case 'M':
        push({std::int64_t{number<std::uint16_t>()}});
        break;
      case 'J':
        push({std::int64_t{number<std::int32_t>()}});
        break;
      case 0x8a:
        push_long(number<std::uint8_t>());
        break;
      case 0x8b:
        push_long(number<std::uint32_t>());
        break;
      case 'G':
        push_double();
        break;
      case 'X':
      case 'T':  // Python 2's bytes, which were its texts
      case 'B':  // Python 3's
        push({take(number<std::uint32_t>())});
        break;
      case 'U':
      case 'C':
      case 0x8c:
        push({take(number<std::uint8_t>())});
        break;
      case 0x8d:
      case 0x8e:
      case 0x96:
        push({take(number<std::uint64_t>())});
        break;
      case 'c': {
        const std::string_view module = line();
        push_global(module, line());
        break;
      }
      case 0x93: {
        const PickleValue name = pop();
        const PickleValue module = pop();
        push_global(pickle_text(module), pickle_text(name));
        break;
      }
      case 0x94:
        memoise(static_cast<std::uint32_t>(memo_.size()));
        break;
      case 'q':
        memoise(number<std::uint8_t>());
        break;
      case 'r':
        memoise(number<std::uint32_t>());
        break;
      case 'h':
        recall(number<std::uint8_t>());
        break;
      case 'j':
        recall(number<std::uint32_t>());
        break;
      case 'Q':
        push(load_persistent_(pop()));
        break;
      case 'R':
      case 0x81:  // NEWOBJ, the same for what may be called
        call();
        break;
      case 0x92:  // NEWOBJ_EX: also arguments by name, which nothing that is known has
        pop();
        call();
        break;
      case 's': {
        PickleValue value = pop();
        PickleValue key = pop();
        set_items({std::move(key), std::move(value)});
        break;
      }
      case 'u':
        set_items(pop_to_mark());
        break;
      case 'a':
        append({pop()});
        break;
      case 'e':
      case 0x90:
        append(pop_to_mark());
        break;
      case 'b':
        build();
        break;
      case '0':
        pop();
        break;
      case '1':
        pop_to_mark();
        break;
      case '2':
        push(top());
        break;
      default:
        fail("malformed pickle: opcode 0x{:02x} at byte {}", opcode, position_ - 1);
    }
  }

  void push_long(std::size_t count) {
    const std::string_view digits = take(count);
    if (count > 8) {  // a seed, the state of a random stream: no tensor is made of it
      push({PickleOpaque{"builtins", "int"}});
      return;
    }
    std::uint64_t value = count > 0 && (static_cast<unsigned char>(digits.back()) & 0x80U) != 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = count; i > 0; --i) {
      value = (value << 8) | static_cast<unsigned char>(digits[i - 1]);
    }
    push({static_cast<std::int64_t>(value)});
  }

  void push_double() {
    std::uint64_t bits = 0;  // big-endian in the stream
    for (const char c : take(8)) {
      bits = (bits << 8) | static_cast<unsigned char>(c);
    }
    push({std::bit_cast<double>(bits)});
  }

  std::string_view bytes_;
  const PersistentLoader& load_persistent_;
  std::size_t position_ = 0;
  Pickle pickle_;
  std::vector<PickleValue> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint32_t, PickleValue> memo_;
};

}  // namespace

Pickle unpickle(std::string_view bytes, const PersistentLoader& load_persistent) {
  return Unpickler(bytes, load_persistent).run();
}

Pickle unpickle(std::string_view bytes) {
  return unpickle(bytes, [](const PickleValue& /*id*/) -> PickleValue { fail("malformed pickle: a persistent id"); });
}

}  // namespace xtasc::tensorfile
