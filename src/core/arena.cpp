#include "core/arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <span>

#include "core/huge_pages.hpp"

namespace xtasc {

namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kStep = std::size_t{64} << 20;  ///< memory is made usable in such pieces

std::size_t round_up(std::size_t size, std::size_t unit) {
  return (size + unit - 1) / unit * unit;
}

}  // namespace

Arena::Arena(std::size_t capacity) : capacity_(round_up(capacity, kStep)) {
  void* address = ::mmap(nullptr, capacity_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    capacity_ = 0;
  } else {
    base_ = static_cast<std::byte*>(address);
  }
}

Arena::~Arena() {
  if (base_ != nullptr) {
    ::munmap(base_, capacity_);
  }
}

bool Arena::grow_to(std::size_t end) {
  if (end > capacity_) {
    return false;
  }
  if (end > committed_) {
    const std::size_t size = round_up(end - committed_, kStep);
    if (::mprotect(base_ + committed_, size, PROT_READ | PROT_WRITE) != 0) {
      return false;
    }
    prefer_huge_pages(std::span(base_ + committed_, size));
    committed_ += size;
  }
  end_ = end;
  return true;
}

void Arena::add_free(std::size_t offset, std::size_t size) {
  gaps_by_size_.emplace(size, offset);
  gaps_.emplace(offset, size);
}

void Arena::remove_free(std::map<std::size_t, std::size_t>::iterator gap) {
  gaps_by_size_.erase({gap->second, gap->first});
  gaps_.erase(gap);
}

void* Arena::allocate(std::size_t size) noexcept try {
  const std::lock_guard lock(mutex_);
  if (size > capacity_) {
    return nullptr;
  }
  const std::size_t wanted = round_up(std::max<std::size_t>(size, 1), kCacheLine);
  std::size_t offset = end_;
  if (const auto fit = gaps_by_size_.lower_bound({wanted, 0}); fit != gaps_by_size_.end()) {
    const auto [gap_size, gap_offset] = *fit;
    offset = gap_offset;
    remove_free(gaps_.find(gap_offset));
    if (gap_size > wanted) {
      add_free(gap_offset + wanted, gap_size - wanted);
    }
  } else {
    // The last gap, if it reaches the end, only needs what it lacks.
    const auto last = gaps_.empty() ? gaps_.end() : std::prev(gaps_.end());
    const bool touches_end = last != gaps_.end() && last->first + last->second == end_;
    offset = touches_end ? last->first : end_;
    if (!grow_to(offset + wanted)) {
      return nullptr;
    }
    if (touches_end) {
      remove_free(last);
    }
  }
  blocks_.emplace(offset, wanted);
  return base_ + offset;
} catch (const std::bad_alloc&) {
  return nullptr;
}

bool Arena::free(void* block) noexcept {
  const std::lock_guard lock(mutex_);
  const auto* address = static_cast<const std::byte*>(block);
  if (base_ == nullptr || address < base_ || address >= base_ + capacity_) {
    return false;
  }
  const auto found = blocks_.find(static_cast<std::size_t>(address - base_));
  if (found == blocks_.end()) {
    return false;
  }
  std::size_t offset = found->first;
  std::size_t size = found->second;
  blocks_.erase(found);
  const auto after = gaps_.lower_bound(offset);
  if (after != gaps_.begin()) {
    if (const auto before = std::prev(after); before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      remove_free(before);
    }
  }
  if (after != gaps_.end() && after->first == offset + size) {
    size += after->second;
    remove_free(after);
  }
  add_free(offset, size);
  return true;
}

std::size_t Arena::high_water() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

}  // namespace xtasc
