#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <ATen/core/ivalue.h>

#include "core/cuda_forms.hpp"
#include "train/phase.hpp"

namespace xtasc::launch {

/// Launches of one kernel for one cause, and what they do together.
struct LaunchTally {
  std::int64_t launches = 0;
  std::int64_t bytes = 0;  ///< read and written, each tensor once; of our own kernels and of ATen's
  double flop = 0.0;       ///< of convolutions, two a multiply-add
  /// Of those that move at least kLargeBytes each: the others take as long as any kernel takes.
  std::int64_t large_launches = 0, large_bytes = 0;

  LaunchTally& operator+=(const LaunchTally& other);
};
/// What an H100 moves in about the time of the smallest kernel in a graph.
inline constexpr std::int64_t kLargeBytes = 4 << 20;

/// A convolution, or one of its two gradients, by its shapes.
struct CountedConvolution {
  std::string direction;  ///< "forward", "gradient of x" or "gradient of weight"
  std::int64_t images = 0, in = 0, out = 0, stride = 0;
  std::int64_t kernel = 0, taps = 0;   ///< its longer side, and all of it
  std::int64_t height = 0, width = 0;  ///< of the output
  auto operator<=>(const CountedConvolution&) const = default;
};

/// Counts the kernels that CUDA would be asked for by what this thread does, as long as this object lives. Made with a
/// CudaForms that tells it our own kernels, or it counts the CPU's forms.
///
/// Of ATen a call counts that calls no other and is not merely a view or new memory: such a call is one kernel on CUDA.
/// Where CUDA differs from the CPU the counter says so itself: a convolution is one kernel in each direction (cuDNN may
/// need more), and one for its bias; fused Adam takes one for each 320 chunks of 65,536 elements; log-softmax copies
/// what is channels-last.
class LaunchCounter final : public KernelObserver {
 public:
  LaunchCounter();
  ~LaunchCounter() override;
  LaunchCounter(const LaunchCounter&) = delete;
  LaunchCounter& operator=(const LaunchCounter&) = delete;

  /// What follows belongs to this part of a step, unless its cause is plain.
  void enter(train::Phase phase) { phase_ = phase; }
  /// A launch that nobody else tells of.
  void add(const std::string& cause, const std::string& name, const LaunchTally& tally);

  void begin_cause(const char* cause) override;
  void begin_kernel(const char* name, std::int64_t bytes) override;
  void end() override;

  /// By cause and name.
  using Tallies = std::map<std::pair<std::string, std::string>, LaunchTally>;
  [[nodiscard]] const Tallies& tallies() const { return tallies_; }
  [[nodiscard]] const std::map<CountedConvolution, LaunchTally>& convolutions() const { return convolutions_; }
  [[nodiscard]] std::map<std::string, LaunchTally> by_cause() const;
  [[nodiscard]] LaunchTally total() const;

 private:
  struct Hook;  ///< into ATen's calls

  /// A call, a kernel of our own or a cause that has begun and not ended.
  struct Frame {
    std::string name, cause;
    bool is_node = false;          ///< of autograd
    bool is_kernel = false;        ///< what is inside is not counted
    bool launches_inside = false;  ///< a kernel was counted inside
    std::int64_t bytes_read = 0;
  };
  void begin(Frame frame);
  void begin_call(const std::string& name, c10::ArrayRef<const c10::IValue> inputs);
  void end_call(const std::vector<c10::IValue>& outputs);
  void count(const std::string& cause, const std::string& name, const LaunchTally& tally);
  void count_convolution(c10::ArrayRef<const c10::IValue> inputs);
  void count_convolution_backward(c10::ArrayRef<const c10::IValue> inputs);
  void count_one_convolution(const CountedConvolution& shape, std::int64_t bytes);

  [[nodiscard]] bool is_inside_kernel() const;
  [[nodiscard]] std::string cause_of(const std::string& name) const;

  std::vector<Frame> open_;
  train::Phase phase_ = train::Phase::data;
  Tallies tallies_;
  std::map<CountedConvolution, LaunchTally> convolutions_;
  std::unique_ptr<Hook> hook_;
};

}  // namespace xtasc::launch
