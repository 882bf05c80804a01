#include "launch/bench/launch_counter.hpp"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/error.hpp"

namespace xtasc::launch {

namespace {

using train::Phase;
using Values = c10::ArrayRef<const c10::IValue>;

/// Calls that ask the device for nothing: views, new memory, and what only looks at a tensor.
constexpr std::array<std::string_view, 46> kNoKernel = {"aten::alias",
                                                        "aten::as_strided",
                                                        "aten::as_strided_",
                                                        "aten::broadcast_tensors",
                                                        "aten::broadcast_to",
                                                        "aten::chunk",
                                                        "aten::contiguous",
                                                        "aten::detach",
                                                        "aten::detach_",
                                                        "aten::empty",
                                                        "aten::empty_like",
                                                        "aten::empty_strided",
                                                        "aten::expand",
                                                        "aten::expand_as",
                                                        "aten::is_nonzero",
                                                        "aten::lift_fresh",
                                                        "aten::narrow",
                                                        "aten::new_empty",
                                                        "aten::new_empty_strided",
                                                        "aten::numpy_T",
                                                        "aten::permute",
                                                        "aten::record_stream",
                                                        "aten::requires_grad_",
                                                        "aten::reshape",
                                                        "aten::resize_",
                                                        "aten::resize_as_",
                                                        "aten::resolve_conj",
                                                        "aten::resolve_neg",
                                                        "aten::result_type",
                                                        "aten::select",
                                                        "aten::set_",
                                                        "aten::size",
                                                        "aten::slice",
                                                        "aten::split",
                                                        "aten::split_with_sizes",
                                                        "aten::squeeze",
                                                        "aten::stride",
                                                        "aten::sum_to_size",
                                                        "aten::t",
                                                        "aten::to",
                                                        "aten::transpose",
                                                        "aten::unbind",
                                                        "aten::unsqueeze",
                                                        "aten::view",
                                                        "aten::view_as",
                                                        "aten::_unsafe_view"};

/// A call by its name, or an autograd node by a part of it, and what it is for.
using Causes = std::pair<std::string_view, std::string_view>;

constexpr std::string_view kAccumulation = "gradient accumulation";

constexpr std::array<Causes, 9> kCausesOfNodes = {{{"AccumulateGrad", kAccumulation},
                                                   {"Convolution", "convolution"},
                                                   {"ToCopyBackward", "casts"},
                                                   {"ReluBackward", "relu"},
                                                   {"CatBackward", "cat"},
                                                   {"Upsample", "upsample"},
                                                   {"MaxPool", "pooling"},
                                                   {"LogSoftmax", "log-softmax"},
                                                   {"BatchNorm", "batch norm"}}};

constexpr std::array<Causes, 9> kCausesOfCalls = {{{"aten::_to_copy", "casts"},
                                                   {"aten::relu", "relu"},
                                                   {"aten::relu_", "relu"},
                                                   {"aten::cat", "cat"},
                                                   {"aten::add", "residuals"},
                                                   {"aten::max_pool2d", "pooling"},
                                                   {"aten::upsample_bilinear2d", "upsample"},
                                                   {"aten::log_softmax", "log-softmax"},
                                                   {"aten::clone", "layout copies"}}};

bool is_in_net(Phase phase) {
  return phase == Phase::encoder || phase == Phase::decoders || phase == Phase::transfer_nets;
}

std::string cause_of_phase(Phase phase) {
  switch (phase) {
    case Phase::data:
      return "augmentation";
    case Phase::losses:
    case Phase::backward:
      return "loss";
    case Phase::optimizer:
      return "optimizer";
    case Phase::encoder:
    case Phase::decoders:
    case Phase::transfer_nets:
    case Phase::all_reduce:
      return "other";
  }
  fail("unknown phase {}", static_cast<int>(phase));
}

std::int64_t bytes_of(const at::Tensor& x) {
  if (!x.defined()) {
    return 0;
  }
  // An expanded tensor has more elements than memory.
  return static_cast<std::int64_t>(std::min(x.nbytes(), x.storage().nbytes()));
}

std::int64_t bytes_of(Values values) {
  std::int64_t bytes = 0;
  for (const c10::IValue& value : values) {
    if (value.isTensor()) {
      bytes += bytes_of(value.toTensor());
    } else if (value.isTensorList()) {
      for (const at::Tensor& x : value.toTensorVector()) {
        bytes += bytes_of(x);
      }
    }
  }
  return bytes;
}

/// What a call reads: the target of a copy or a fill is only written.
std::int64_t bytes_read(std::string_view name, Values inputs) {
  const bool only_writes_first = name == "aten::copy_" || name == "aten::fill_" || name == "aten::zero_";
  return bytes_of(only_writes_first ? inputs.slice(1) : inputs);
}

std::int64_t launches_of_fused_adam(Values inputs) {
  constexpr std::int64_t kChunk = 65536, kChunksALaunch = 320;
  std::int64_t launches = 0;
  for (const at::Tensor& values : inputs[0].toTensorVector()) {
    const std::int64_t chunks = (values.numel() + kChunk - 1) / kChunk;
    launches += (chunks + kChunksALaunch - 1) / kChunksALaunch;
  }
  return launches;
}

bool is_channels_last(const at::Tensor& x) {
  return !x.is_contiguous() && x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

bool is_log_softmax(std::string_view name) {
  return name == "aten::_log_softmax" || name == "aten::_log_softmax_backward_data";
}

bool has_kernel(std::string_view name) {
  return std::find(kNoKernel.begin(), kNoKernel.end(), name) == kNoKernel.end();
}

/// A number that the CPU turns into the other operand's type; CUDA takes it as a kernel's argument.
bool casts_a_number(std::string_view name, Values inputs) {
  return name == "aten::to" && inputs[0].isTensor() && inputs[0].toTensor().defined() &&
         inputs[0].toTensor().unsafeGetTensorImpl()->is_wrapped_number();
}

/// Calls that clear or copy something first, by other calls, and then launch a kernel of their own.
bool launches_beside_others(std::string_view name) {
  return name == "aten::max_pool2d_with_indices_backward" || name == "aten::cat" || name == "aten::sum";
}

}  // namespace

struct LaunchCounter::Hook {
  explicit Hook(LaunchCounter& counter) {
    check(current == nullptr, "LaunchCounter: one at a time in a thread");
    current = &counter;
    handle = at::addThreadLocalCallback(at::RecordFunctionCallback(&begin, &end)
                                            .needsInputs(true)
                                            .needsOutputs(true)
                                            .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  }
  ~Hook() {
    at::removeCallback(handle);
    current = nullptr;
  }
  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;

  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& call) {
    current->begin_call(call.name(), call.scope() == at::RecordScope::FUNCTION ? call.inputs() : Values());
    return nullptr;
  }
  static void end(const at::RecordFunction& call, at::ObserverContext* /*none*/) { current->end_call(call.outputs()); }

  static thread_local LaunchCounter* current;  ///< the callbacks are plain functions
  at::CallbackHandle handle = 0;
};

thread_local LaunchCounter* LaunchCounter::Hook::current = nullptr;

LaunchTally& LaunchTally::operator+=(const LaunchTally& other) {
  launches += other.launches;
  bytes += other.bytes;
  flop += other.flop;
  large_launches += other.large_launches;
  large_bytes += other.large_bytes;
  return *this;
}

LaunchCounter::LaunchCounter() : hook_(std::make_unique<Hook>(*this)) {}

LaunchCounter::~LaunchCounter() = default;

void LaunchCounter::add(const std::string& cause, const std::string& name, const LaunchTally& tally) {
  LaunchTally one = tally;
  if (one.launches > 0 && one.bytes >= kLargeBytes * one.launches) {
    one.large_launches = one.launches;
    one.large_bytes = one.bytes;
  }
  tallies_[{cause, name}] += one;
}

void LaunchCounter::count(const std::string& cause, const std::string& name, const LaunchTally& tally) {
  for (Frame& frame : open_) {
    frame.launches_inside = true;
  }
  add(cause, name, tally);
}

bool LaunchCounter::is_inside_kernel() const {
  return std::any_of(open_.begin(), open_.end(), [](const Frame& frame) { return frame.is_kernel; });
}

void LaunchCounter::begin(Frame frame) {
  if (frame.cause.empty() && !open_.empty()) {
    frame.cause = open_.back().cause;
  }
  open_.push_back(std::move(frame));
}

void LaunchCounter::begin_cause(const char* cause) {
  begin({.name = cause, .cause = cause});
}

void LaunchCounter::begin_kernel(const char* name, std::int64_t bytes) {
  const std::string_view text = name;
  const auto colon = text.find(": ");
  check(colon != text.npos, "the kernel '{}' has no cause", name);
  const std::string cause(text.substr(0, colon));
  if (!is_inside_kernel()) {
    count(cause, std::string(text.substr(colon + 2)), {.launches = 1, .bytes = bytes});
  }
  begin({.name = name, .cause = cause, .is_node = false, .is_kernel = true});
}

void LaunchCounter::end() {
  open_.pop_back();
}

std::string LaunchCounter::cause_of(const std::string& name) const {
  if (!open_.empty() && !open_.back().cause.empty()) {
    // Where a tensor was used twice, autograd adds up its gradients when the second of the nodes ends.
    const bool meets =
        open_.back().is_node && open_.back().cause != kAccumulation && (name == "aten::add" || name == "aten::add_");
    return meets ? "residuals" : open_.back().cause;
  }
  if (name.starts_with("aten::")) {
    if (phase_ == Phase::data) {
      return name == "aten::zero_" || name == "aten::fill_" ? std::string(kAccumulation) : "augmentation";
    }
    const auto* const found = std::find_if(kCausesOfCalls.begin(), kCausesOfCalls.end(),
                                           [&](const Causes& one) { return one.first == name; });
    return is_in_net(phase_) && found != kCausesOfCalls.end() ? std::string(found->second) : std::string();
  }
  const auto* const found = std::find_if(kCausesOfNodes.begin(), kCausesOfNodes.end(),
                                         [&](const Causes& one) { return name.find(one.first) != name.npos; });
  return found != kCausesOfNodes.end() ? std::string(found->second) : std::string();
}

void LaunchCounter::begin_call(const std::string& name, Values inputs) {
  Frame frame = {.name = name,
                 .cause = cause_of(name),
                 .is_node = !name.starts_with("aten::"),
                 .is_kernel = casts_a_number(name, inputs)};
  frame.bytes_read = bytes_read(name, inputs);
  if (name == "aten::convolution") {
    count_convolution(inputs);
    frame.is_kernel = true;
  } else if (name == "aten::convolution_backward") {
    count_convolution_backward(inputs);
    frame.is_kernel = true;
  } else if (!is_inside_kernel() && (name == "aten::_fused_adam_" || is_log_softmax(name))) {
    const std::string cause = frame.cause.empty() ? cause_of_phase(phase_) : frame.cause;
    if (is_log_softmax(name)) {
      const at::Tensor& x = inputs[0].toTensor();
      count(cause, name, {.launches = 1, .bytes = 2 * bytes_of(x)});
      if (is_channels_last(x)) {
        count(cause, "copy of channels-last", {.launches = 1, .bytes = 2 * bytes_of(x)});
      }
    } else {
      count(cause, name, {.launches = launches_of_fused_adam(inputs), .bytes = 2 * frame.bytes_read});
    }
    frame.is_kernel = true;
  }
  begin(std::move(frame));
}

void LaunchCounter::end_call(const std::vector<c10::IValue>& outputs) {
  const Frame call = std::move(open_.back());
  open_.pop_back();
  if (call.is_node || call.is_kernel || is_inside_kernel() || !has_kernel(call.name) ||
      (call.launches_inside && !launches_beside_others(call.name))) {
    return;
  }
  count(call.cause.empty() ? cause_of_phase(phase_) : call.cause, call.name,
        {.launches = 1, .bytes = call.bytes_read + bytes_of(Values(outputs.data(), outputs.size()))});
}

void LaunchCounter::count_one_convolution(const CountedConvolution& shape, std::int64_t bytes) {
  const double flop = 2.0 * static_cast<double>(shape.images * shape.height * shape.width) *
                      static_cast<double>(shape.in * shape.out * shape.taps);
  const LaunchTally one = {.launches = is_inside_kernel() ? 0 : 1, .bytes = bytes, .flop = flop};
  convolutions_[shape] += {.launches = 1, .bytes = bytes, .flop = flop};
  count("convolution", shape.direction, one);
}

void LaunchCounter::count_convolution(Values inputs) {
  const at::Tensor& x = inputs[0].toTensor();
  const at::Tensor& weight = inputs[1].toTensor();
  const std::vector<std::int64_t> padding = inputs[4].toIntVector();  // one number, or one a side
  const std::int64_t stride = inputs[3].toIntVector()[0], dilation = inputs[5].toIntVector()[0];
  const auto shrunk = [&](std::int64_t side, std::int64_t around) {
    return (x.size(side) + 2 * around - dilation * (weight.size(side) - 1) - 1) / stride + 1;
  };
  const CountedConvolution shape = {.direction = "forward",
                                    .images = x.size(0),
                                    .in = weight.size(1),
                                    .out = weight.size(0),
                                    .stride = stride,
                                    .kernel = std::max(weight.size(2), weight.size(3)),
                                    .taps = weight.size(2) * weight.size(3),
                                    .height = shrunk(2, padding.front()),
                                    .width = shrunk(3, padding.back())};
  const std::int64_t bytes_of_y =
      shape.images * shape.out * shape.height * shape.width * static_cast<std::int64_t>(x.element_size());
  count_one_convolution(shape, bytes_of(x) + bytes_of(weight) + bytes_of_y);
  if (inputs[2].isTensor() && inputs[2].toTensor().defined() && !is_inside_kernel()) {
    count("bias", "added behind a convolution", {.launches = 1, .bytes = 2 * bytes_of_y});
  }
}

void LaunchCounter::count_convolution_backward(Values inputs) {
  const at::Tensor& grad_y = inputs[0].toTensor();
  const at::Tensor& x = inputs[1].toTensor();
  const at::Tensor& weight = inputs[2].toTensor();
  const auto mask = inputs[10].toBoolList();
  CountedConvolution shape = {.direction = "gradient of x",
                              .images = x.size(0),
                              .in = weight.size(1),
                              .out = weight.size(0),
                              .stride = inputs[4].toIntVector()[0],
                              .kernel = std::max(weight.size(2), weight.size(3)),
                              .taps = weight.size(2) * weight.size(3),
                              .height = grad_y.size(2),
                              .width = grad_y.size(3)};
  const std::int64_t bytes = bytes_of(grad_y) + bytes_of(x) + bytes_of(weight);
  if (mask.get(0)) {
    count_one_convolution(shape, bytes);
  }
  if (mask.get(1)) {
    shape.direction = "gradient of weight";
    count_one_convolution(shape, bytes);
  }
  if (mask.get(2) && !is_inside_kernel()) {
    count("bias", "summed for its gradient", {.launches = 1, .bytes = bytes_of(grad_y)});
  }
}

std::map<std::string, LaunchTally> LaunchCounter::by_cause() const {
  std::map<std::string, LaunchTally> found;
  for (const auto& [key, tally] : tallies_) {
    found[key.first] += tally;
  }
  return found;
}

LaunchTally LaunchCounter::total() const {
  LaunchTally all;
  for (const auto& [cause, tally] : by_cause()) {
    all += tally;
  }
  return all;
}

}  // namespace xtasc::launch
