#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace xtasc::tensorfile {

struct PickleValue;
using PickleList = std::vector<PickleValue>;
using PickleDict = std::vector<std::pair<PickleValue, PickleValue>>;

/// A name that the pickle asks to import, e.g. "torch._utils._rebuild_tensor_v2". Never imported, only recognised.
struct PickleGlobal {
  std::string name;
};

/// A typed piece of memory that tensors are views of.
struct PickleStorage {
  at::Tensor flat;  ///< 1-D
};

/// What a pickle of tensors can hold. Containers are shared, as in Python, since they are filled after they are
/// memoised.
struct PickleValue {
  std::variant<std::monostate, bool, std::int64_t, double, std::string, PickleGlobal, PickleStorage, at::Tensor,
               std::shared_ptr<PickleList>, std::shared_ptr<PickleDict>>
      data;
};

/// Gives the storage of a key as a flat tensor. \param dtype from the storage's type name
using StorageLoader =
    std::function<at::Tensor(const std::string& key, at::ScalarType dtype, std::int64_t num_elements)>;

/// Interprets the opcodes of pickle protocol 2 that torch.save uses for tensors, numbers, texts, lists and
/// dictionaries. \throws Error for any other opcode, any other global, or a malformed stream; never reads outside of
/// `bytes`. Source: https://docs.python.org/3/library/pickletools.html (the opcodes), torch/_utils.py
/// (_rebuild_tensor_v2).
[[nodiscard]] PickleValue unpickle(const std::string& bytes, const StorageLoader& load_storage);

}  // namespace xtasc::tensorfile
