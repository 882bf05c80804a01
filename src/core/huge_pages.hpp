#pragma once

#include <cstddef>
#include <span>

namespace xtasc {

/// Asks the kernel for huge pages (2 MiB instead of 4 KiB) under a large block that is about to be filled for the first
/// time: the faults of 4 KiB pages cost more than copying the data in. Pages that the block only shares stay as they
/// are. A hint: without effect on small blocks, on pages that are there already and where the system has none.
void prefer_huge_pages(std::span<std::byte> block) noexcept;

}  // namespace xtasc
