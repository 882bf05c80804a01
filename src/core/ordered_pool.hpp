#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/log.hpp"

namespace xtasc {

/// Threads that work on items 0, 1, 2, ... and hand the results out in that order, never more than a window ahead of
/// the one that is taken next. Where the system gives fewer threads than are asked for, those it gives do all; where it
/// gives none, the one that takes the results.
template <typename Result>
class OrderedPool {
 public:
  /// \param work  called with each number below `num_items`, from several threads
  OrderedPool(std::size_t num_items, std::size_t num_threads, std::function<Result(std::size_t)> work)
      : num_items_(num_items), window_(2 * num_threads + 2), work_(std::move(work)) {
    try {
      for (std::size_t i = 0; i < std::min(num_threads, num_items); ++i) {
        threads_.emplace_back([this] { run(); });
      }
    } catch (const std::system_error& error) {
      log_warning("{} of {} threads could be started: {}", threads_.size(), std::min(num_threads, num_items),
                  error.code().message());
    }
  }
  ~OrderedPool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  OrderedPool(const OrderedPool&) = delete;
  OrderedPool& operator=(const OrderedPool&) = delete;

  /// Waits for the next result: that of item 0 in the first call, then 1, 2, ... \throws what `work` threw.
  Result take() {
    if (threads_.empty()) {
      return work_(num_taken_++);
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready_.contains(num_taken_) || failure_ != nullptr; });
    if (failure_ != nullptr) {
      std::rethrow_exception(failure_);
    }
    Result result = std::move(ready_.extract(num_taken_).mapped());
    ++num_taken_;
    changed_.notify_all();
    return result;
  }

 private:
  void run() {
    while (true) {
      std::size_t item = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || next_ == num_items_ || next_ < num_taken_ + window_; });
        if (stopping_ || next_ == num_items_) {
          return;
        }
        item = next_++;
      }
      try {
        Result result = work_(item);
        const std::lock_guard lock(mutex_);
        ready_.emplace(item, std::move(result));
      } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
      }
      changed_.notify_all();
    }
  }

  const std::size_t num_items_, window_;
  const std::function<Result(std::size_t)> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t next_ = 0, num_taken_ = 0;
  bool stopping_ = false;
  std::map<std::size_t, Result> ready_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace xtasc
