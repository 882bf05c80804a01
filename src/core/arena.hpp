#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace xtasc {

/// Memory that is taken from the system once and kept: a freed block serves the next request that it fits, the rest of
/// it stays free, and neighbours that are free become one again. A training step asks for the same blocks every time,
/// so from the second step on it meets no page for the first time. Best fit in one range of addresses, on huge pages
/// where the system has them. Safe to call from several threads.
class Arena {
 public:
  /// Reserves addresses, not memory. Without effect where the system refuses: then every request is refused too.
  explicit Arena(std::size_t capacity);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// A block aligned to a cache line; null when there is no room.
  [[nodiscard]] void* allocate(std::size_t size) noexcept;
  /// \returns false if the block is not from here
  bool free(void* block) noexcept;

  /// Most bytes that were ever in use, gaps between blocks included.
  [[nodiscard]] std::size_t high_water() const;

 private:
  [[nodiscard]] bool grow_to(std::size_t end);
  void add_free(std::size_t offset, std::size_t size);
  void remove_free(std::map<std::size_t, std::size_t>::iterator gap);

  std::byte* base_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t committed_ = 0;                                   ///< readable and writable from the start
  std::size_t end_ = 0;                                         ///< everything behind was never used
  std::map<std::size_t, std::size_t> gaps_;                     ///< offset -> size
  std::set<std::pair<std::size_t, std::size_t>> gaps_by_size_;  ///< (size, offset)
  std::unordered_map<std::size_t, std::size_t> blocks_;         ///< offset -> size
  mutable std::mutex mutex_;
};

}  // namespace xtasc
