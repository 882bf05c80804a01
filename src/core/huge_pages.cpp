#include "core/huge_pages.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace xtasc {

void prefer_huge_pages(std::span<std::byte> block) noexcept {
#ifdef MADV_HUGEPAGE
  constexpr std::uintptr_t kHugePage = std::uintptr_t{1} << 21;
  const auto address = reinterpret_cast<std::uintptr_t>(block.data());
  const std::size_t before = (kHugePage - address % kHugePage) % kHugePage;
  if (block.size() >= before + kHugePage) {
    const std::size_t size = (block.size() - before) / kHugePage * kHugePage;
    // Fails where the kernel was built without huge pages: then the pages are small, as without the hint.
    static_cast<void>(::madvise(block.data() + before, size, MADV_HUGEPAGE));
  }
#else
  static_cast<void>(block);
#endif
}

}  // namespace xtasc
