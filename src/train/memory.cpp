#include "train/memory.hpp"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/arena.hpp"

namespace xtasc::train {

namespace {

constexpr std::size_t kSmall = std::size_t{16} << 10;

std::size_t physical_memory() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Never destroyed: tensors in static variables may outlive everything else.
Arena& arena() {
  static Arena* const instance = new Arena(physical_memory());
  return *instance;
}

class ArenaAllocator final : public c10::Allocator {
 public:
  explicit ArenaAllocator(c10::Allocator* fallback) : fallback_(fallback) {
    fallback_deleter_ = fallback->raw_deleter();
  }

  c10::DataPtr allocate(std::size_t size) override {
    void* block = size >= kSmall ? arena().allocate(size) : nullptr;
    return block != nullptr ? c10::DataPtr(block, block, &ArenaAllocator::free_block, c10::DeviceType::CPU)
                            : fallback_->allocate(size);
  }
  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return &ArenaAllocator::free_block; }
  void copy_data(void* to, const void* from, std::size_t size) const override { std::memcpy(to, from, size); }

 private:
  static void free_block(void* block) {
    if (!arena().free(block)) {
      fallback_deleter_(block);
    }
  }

  c10::Allocator* fallback_;
  static inline c10::DeleterFnPtr fallback_deleter_ = nullptr;
};

bool is_wanted() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  const char* text = std::getenv("XTASC_KEEP_MEMORY");
  return text == nullptr || std::string_view(text) != "0";
#endif
}

}  // namespace

void keep_memory() {
  static ArenaAllocator* const allocator = [] {
    ArenaAllocator* made = nullptr;
    if (is_wanted()) {
      made = new ArenaAllocator(c10::GetCPUAllocator());
      c10::SetCPUAllocator(made, /*priority=*/1);
    }
    return made;
  }();
  static_cast<void>(allocator);
}

}  // namespace xtasc::train
