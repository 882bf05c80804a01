#include "tensorfile/unpickle.hpp"

#include <ATen/ATen.h>

#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <optional>

#include "core/error.hpp"

namespace xtasc::tensorfile {

namespace {

std::optional<at::ScalarType> storage_dtype(const std::string& name) {
  static const std::map<std::string, at::ScalarType> kTypes = {
      {"torch.FloatStorage", at::kFloat}, {"torch.DoubleStorage", at::kDouble},     {"torch.HalfStorage", at::kHalf},
      {"torch.LongStorage", at::kLong},   {"torch.BFloat16Storage", at::kBFloat16}, {"torch.IntStorage", at::kInt},
      {"torch.ShortStorage", at::kShort}, {"torch.CharStorage", at::kChar},         {"torch.ByteStorage", at::kByte},
      {"torch.BoolStorage", at::kBool}};
  const auto found = kTypes.find(name);
  return found == kTypes.end() ? std::nullopt : std::optional(found->second);
}

template <typename T>
const T& as(const PickleValue& value, const char* expected) {
  const T* held = std::get_if<T>(&value.data);
  check(held != nullptr, "malformed pickle: {} expected", expected);
  return *held;
}

const PickleList& as_list(const PickleValue& value) {
  return *as<std::shared_ptr<PickleList>>(value, "a tuple or list");
}

std::vector<std::int64_t> as_integers(const PickleValue& value) {
  std::vector<std::int64_t> integers;
  for (const PickleValue& element : as_list(value)) {
    integers.push_back(as<std::int64_t>(element, "an integer"));
  }
  return integers;
}

/// torch._utils._rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks)
at::Tensor rebuild_tensor(const PickleList& arguments) {
  check(arguments.size() >= 4, "malformed pickle: a tensor of {} arguments", arguments.size());
  const at::Tensor& flat = as<PickleStorage>(arguments[0], "a storage").flat;
  const auto offset = as<std::int64_t>(arguments[1], "an integer");
  const auto size = as_integers(arguments[2]);
  const auto stride = as_integers(arguments[3]);
  bool fits = offset >= 0 && offset <= flat.numel() && size.size() == stride.size();
  bool is_empty = false;
  for (std::size_t i = 0; fits && i < size.size(); ++i) {
    fits = size[i] >= 0 && stride[i] >= 0;
    is_empty = is_empty || size[i] == 0;
  }
  // How far the last element lies behind the first; each term is bounded before it is multiplied.
  std::int64_t left = flat.numel() - 1 - offset;
  for (std::size_t i = 0; fits && !is_empty && i < size.size(); ++i) {
    fits = left >= 0 && (size[i] == 1 || stride[i] == 0 || size[i] - 1 <= left / stride[i]);
    left -= fits ? (size[i] - 1) * stride[i] : 0;
  }
  fits = fits && (is_empty || left >= 0);
  check(fits, "a tensor of size ({}) reaches outside of its storage of {} elements", fmt::join(size, ", "),
        flat.numel());
  return flat.as_strided(size, stride, offset);
}

/// The machine that the opcodes drive: a stack, marks in it, and a memo.
class Unpickler {
 public:
  Unpickler(const std::string& bytes, const StorageLoader& load_storage) : bytes_(bytes), load_storage_(load_storage) {}

  PickleValue run() {
    while (true) {
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == '.') {
        return pop();
      }
      step(opcode);
    }
  }

 private:
  std::string_view take(std::size_t count) {
    check(count <= bytes_.size() - position_, "malformed pickle: it ends too early");
    const std::string_view piece(bytes_.data() + position_, count);
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

  std::string line() {
    const auto end = bytes_.find('\n', position_);
    check(end != std::string::npos, "malformed pickle: it ends too early");
    const std::string text(take(end - position_));
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

  PickleList pop_to_mark() {
    check(!marks_.empty() && marks_.back() <= stack_.size(), "malformed pickle: no mark");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    PickleList items(std::make_move_iterator(begin), std::make_move_iterator(stack_.end()));
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void push_tuple(std::size_t count) {
    auto items = std::make_shared<PickleList>(count);
    for (std::size_t i = count; i > 0; --i) {
      (*items)[i - 1] = pop();
    }
    push({items});
  }

  void set_items(const PickleList& items) {
    check(items.size() % 2 == 0, "malformed pickle: a key without a value");
    PickleDict& dict = *as<std::shared_ptr<PickleDict>>(top(), "a dictionary");
    for (std::size_t i = 0; i < items.size(); i += 2) {
      dict.emplace_back(items[i], items[i + 1]);
    }
  }

  void append(const PickleList& items) {
    PickleList& list = *as<std::shared_ptr<PickleList>>(top(), "a list");
    list.insert(list.end(), items.begin(), items.end());
  }

  void memoise(std::uint32_t index) { memo_[index] = top(); }

  void recall(std::uint32_t index) {
    const auto found = memo_.find(index);
    check(found != memo_.end(), "malformed pickle: memo {} was never set", index);
    push(found->second);
  }

  /// ("storage", storage type, key, location, number of elements)
  void load_persistent() {
    const PickleValue value = pop();
    const PickleList& id = as_list(value);
    check(id.size() == 5 && as<std::string>(id[0], "a text") == "storage", "malformed pickle: unknown persistent id");
    const std::string& type = as<PickleGlobal>(id[1], "a storage type").name;
    const auto dtype = storage_dtype(type);
    check(dtype.has_value(), "tensors of type {} are not supported", type);
    push({PickleStorage{
        load_storage_(as<std::string>(id[2], "a text"), *dtype, as<std::int64_t>(id[4], "an integer"))}});
  }

  void reduce() {
    const PickleValue arguments = pop();
    const PickleValue function = pop();
    const std::string& name = as<PickleGlobal>(function, "a function").name;
    if (name == "collections.OrderedDict") {
      push({std::make_shared<PickleDict>()});
    } else if (name == "torch._utils._rebuild_tensor_v2") {
      push({rebuild_tensor(as_list(arguments))});
    } else if (name == "torch._utils._rebuild_parameter") {
      check(!as_list(arguments).empty(), "malformed pickle: a parameter without a tensor");
      push({as<at::Tensor>(as_list(arguments)[0], "a tensor")});
    } else {
      fail("it asks to call {}, which a file of tensors does not need", name);
    }
  }

  void step(unsigned char opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        take(1);
        break;
      case '(':
        marks_.push_back(stack_.size());
        break;
      case '}':
        push({std::make_shared<PickleDict>()});
        break;
      case ']':
      case ')':
        push({std::make_shared<PickleList>()});
        break;
      case 't':
        push({std::make_shared<PickleList>(pop_to_mark())});
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
        push_long();
        break;
      case 'G':
        push_double();
        break;
      case 'X':
        push({std::string(take(number<std::uint32_t>()))});
        break;
      case 'c': {
        const std::string module = line();
        push({PickleGlobal{module + "." + line()}});
        break;
      }
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
        load_persistent();
        break;
      case 'R':
        reduce();
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
        append(pop_to_mark());
        break;
      case 'b':  // BUILD: attributes of an object, such as a state_dict's _metadata
        pop();
        break;
      case '0':
        pop();
        break;
      default:
        fail("malformed pickle: opcode 0x{:02x} at byte {}", opcode, position_ - 1);
    }
  }

  void push_long() {
    const auto count = number<std::uint8_t>();
    check(count <= 8, "malformed pickle: an integer of {} bytes", count);
    const std::string_view digits = take(count);
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

  const std::string& bytes_;
  const StorageLoader& load_storage_;
  std::size_t position_ = 0;
  std::vector<PickleValue> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint32_t, PickleValue> memo_;
};

}  // namespace

PickleValue unpickle(const std::string& bytes, const StorageLoader& load_storage) {
  return Unpickler(bytes, load_storage).run();
}

}  // namespace xtasc::tensorfile
