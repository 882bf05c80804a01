#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.hpp"

namespace xtasc::tensorfile {

struct PickleValue;
using PickleList = std::vector<PickleValue>;
using PickleDict = std::vector<std::pair<PickleValue, PickleValue>>;

/// A name that the pickle asks to import, e.g. "torch._utils" and "_rebuild_tensor_v2". Never imported, only
/// recognised.
struct PickleGlobal {
  std::string_view module, name;
};

/// A typed piece of memory that tensors are views of.
struct PickleStorage {
  at::Tensor flat;  ///< 1-D
};

/// What a pickle makes by calling something that this reader does not know: an argparse.Namespace, a NumPy number, an
/// int of more than 64 bits, a tensor that this reader cannot make. Nothing was called, and all that went into it was
/// dropped.
struct PickleOpaque {
  enum class Kind {
    object,           ///< module and name of what would have made it
    net,              ///< the same, of a torch.nn.Module
    tensor_type,      ///< a tensor: module and name of the type of its numbers
    tensor_metadata,  ///< a tensor: name of what is true of it and changes its numbers
  };
  std::string_view module, name;
  Kind kind = Kind::object;
};

/// What a pickle of tensors can hold. Texts are views of the pickle's bytes and containers belong to the Pickle, so
/// that no value is expensive to copy and no nesting, not even a list that holds itself, is deep to destroy.
struct PickleValue {
  std::variant<std::monostate, bool, std::int64_t, double, std::string_view, PickleGlobal, PickleStorage, PickleOpaque,
               at::Tensor, PickleList*, PickleDict*>
      data;
};

/// One pickle and all that it holds; valid as long as the bytes it was read from.
struct Pickle {
  PickleValue root;
  std::size_t num_bytes = 0;  ///< its length in the stream
  std::deque<PickleList> lists;
  std::deque<PickleDict> dicts;
};

/// Gives what a persistent id stands for: a storage or a tensor that lies outside of the pickle.
using PersistentLoader = std::function<PickleValue(const PickleValue& id)>;

/// Interprets the pickle at the start of `bytes`, of protocol 2 to 5, and Python 2's texts. The makers of tensors,
/// parameters and OrderedDicts are known; what anything else would make becomes a PickleOpaque, and nothing is called.
///
/// \throws Error for an opcode of older protocols, or of data that lie outside of the pickle (protocol 5), a malformed
/// stream, or more than 8 MiB; never reads outside of `bytes`.
///
/// Source: https://docs.python.org/3/library/pickletools.html (opcodes),
/// https://github.com/pytorch/pytorch/blob/v2.11.0/torch/_weights_only_unpickler.py (what torch.load lets through).
[[nodiscard]] Pickle unpickle(std::string_view bytes, const PersistentLoader& load_persistent);
/// As above, where nothing may lie outside of the pickle.
[[nodiscard]] Pickle unpickle(std::string_view bytes);

/// The value as T. \throws Error that says what was expected
template <typename T>
[[nodiscard]] const T& pickle_as(const PickleValue& value, const char* expected) {
  const T* held = std::get_if<T>(&value.data);
  check(held != nullptr, "malformed pickle: {} expected", expected);
  return *held;
}
[[nodiscard]] inline const PickleList& pickle_list(const PickleValue& value) {
  return *pickle_as<PickleList*>(value, "a tuple or list");
}
[[nodiscard]] inline std::int64_t pickle_integer(const PickleValue& value) {
  return pickle_as<std::int64_t>(value, "an integer");
}
[[nodiscard]] inline std::string_view pickle_text(const PickleValue& value) {
  return pickle_as<std::string_view>(value, "a text");
}

}  // namespace xtasc::tensorfile
