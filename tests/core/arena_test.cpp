#include "core/arena.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace xtasc {
namespace {

TEST(Arena, AFreedBlockServesTheNextRequest) {
  Arena arena(std::size_t{256} << 20);
  void* first = arena.allocate(1 << 20);
  void* second = arena.allocate(1 << 20);
  ASSERT_NE(first, nullptr);
  EXPECT_TRUE(arena.free(first));
  EXPECT_EQ(arena.allocate(1 << 19), first);
  EXPECT_EQ(arena.high_water(), std::size_t{2} << 20);
  EXPECT_TRUE(arena.free(second));
}

TEST(Arena, FreeNeighboursBecomeOneGap) {
  Arena arena(std::size_t{256} << 20);
  std::vector<void*> blocks;
  for (int i = 0; i < 4; ++i) {
    blocks.push_back(arena.allocate(1000));
  }
  for (const int i : {0, 2, 1}) {
    EXPECT_TRUE(arena.free(blocks[static_cast<std::size_t>(i)]));
  }
  EXPECT_EQ(arena.allocate(3000), blocks[0]);
}

TEST(Arena, RefusesWhatItHasNotAndWhatIsNotItsOwn) {
  Arena arena(std::size_t{64} << 20);
  EXPECT_EQ(arena.allocate(std::size_t{65} << 20), nullptr);
  EXPECT_EQ(arena.allocate(static_cast<std::size_t>(-1)), nullptr);
  int other = 0;
  EXPECT_FALSE(arena.free(&other));
  void* block = arena.allocate(100);
  EXPECT_TRUE(arena.free(block));
  EXPECT_FALSE(arena.free(block)) << "freed twice";
}

/// Threads that fill their blocks find them as they left them; in the end all memory is one gap again.
TEST(Arena, BlocksNeverOverlap) {
  constexpr std::size_t kCapacity = std::size_t{256} << 20;
  Arena arena(kCapacity);
  const auto work = [&arena](unsigned seed) {
    struct Block {
      unsigned char* data;
      std::size_t size;
      unsigned char mark;
    };
    std::mt19937 random(seed);
    std::vector<Block> blocks;
    const auto release = [&](std::size_t index) {
      const Block block = blocks[index];
      for (std::size_t i = 0; i < block.size; ++i) {
        ASSERT_EQ(block.data[i], block.mark);
      }
      ASSERT_TRUE(arena.free(block.data));
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(index));
    };
    for (int i = 0; i < 2000; ++i) {
      if (blocks.size() > 20 || (!blocks.empty() && random() % 3 == 0)) {
        release(random() % blocks.size());
      } else {
        const std::size_t size = 1 + random() % 40000;
        auto* data = static_cast<unsigned char*>(arena.allocate(size));
        ASSERT_NE(data, nullptr);
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0U);
        const auto mark = static_cast<unsigned char>(random());
        std::memset(data, mark, size);
        blocks.push_back({data, size, mark});
      }
    }
    while (!blocks.empty()) {
      release(0);
    }
  };
  std::thread one(work, 1U);
  std::thread two(work, 2U);
  one.join();
  two.join();
  const std::size_t used = arena.high_water();
  void* whole = arena.allocate(used);
  EXPECT_NE(whole, nullptr);
  EXPECT_EQ(arena.high_water(), used);
}

}  // namespace
}  // namespace xtasc
