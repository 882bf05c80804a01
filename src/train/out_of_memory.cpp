#include "train/out_of_memory.hpp"

#include <c10/util/Exception.h>
#include <oneapi/dnnl/dnnl_common.hpp>

#include <algorithm>
#include <array>
#include <new>
#include <regex>
#include <string>
#include <string_view>

#include "core/host_memory.hpp"

namespace xtasc::train {

namespace {

/// How other libraries than torch's allocator say it, which throws a type of its own.
constexpr std::string_view kOneDnn = "RuntimeError: could not create a primitive";
constexpr std::array<std::string_view, 10> kWords = {
    "CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED",
    // What ncclGetLastError() says: the call that failed, or what it was for, which comes later.
    "Cuda failure 'out of memory'", "Cuda failure 2 'out of memory'", "Failed to CUDA malloc", "Failed to CUDA calloc",
    "Failed to CUDA host alloc", "DefaultCPUAllocator: can't allocate memory",
    // oneDNN in TorchScript's interpreter, which keeps the words alone of an exception.
    kOneDnn};

/// The first group of a pattern in a text; empty: it is not there.
std::string found(const std::string& text, const char* pattern) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(pattern)) ? match[1].str() : "";
}

/// What was asked for and what is there, of torch's "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total
/// capacity of 79.10 GiB of which 1.06 GiB is free. ..." or "you tried to allocate 123 bytes".
std::string amounts(const std::string& text) {
  const std::string asked =
      found(text, R"((?:[Tt]ried to allocate|Failed to CUDA [a-z ]+) (\d+(?:\.\d+)? ?(?:bytes|[KMGT]?i?B)))");
  const std::string total = found(text, R"(total capacity of (\d+(?:\.\d+)? [KMGT]?i?B))");
  const std::string free = found(text, R"(of which (\d+(?:\.\d+)? [KMGT]?i?B|\d+ bytes) is free)");
  if (asked.empty()) {
    return text.substr(0, text.find('\n'));
  }
  return total.empty() || free.empty() ? asked + " were asked for"
                                       : fmt::format("{} were asked for, {} of {} are free", asked, free, total);
}

/// \param advice  what there is to do, a part of a sentence behind a semicolon
std::optional<Error> error_with_advice(const std::exception& error, std::string_view advice) {
  const std::string text = error.what();
  const bool is_of_torch = dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr;
  const auto* of_dnnl = dynamic_cast<const dnnl::error*>(&error);
  const bool is_of_dnnl = of_dnnl != nullptr && of_dnnl->status == dnnl_out_of_memory;
  const bool is_of_new = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  if (!is_of_torch && !is_of_dnnl && !is_of_new &&
      std::ranges::none_of(kWords, [&](std::string_view words) { return text.find(words) != std::string::npos; })) {
    return std::nullopt;
  }
  const bool is_of_host = is_of_dnnl || is_of_new || text.find(kOneDnn) != std::string::npos ||
                          text.find("CPUAllocator") != std::string::npos ||
                          text.find("CUDA host alloc") != std::string::npos;
  const auto free = is_of_host ? memory_bound() : std::nullopt;
  return Error(fmt::format("out of memory on {}{}{}; {}", is_of_host ? "the host" : "the GPU",
                           is_of_new ? "" : ": " + amounts(text),
                           free ? fmt::format(", {:.1f} GB are free", static_cast<double>(*free) * 1e-9) : "", advice),
               ExitCode::out_of_memory);
}

}  // namespace

std::optional<Error> out_of_memory_error(const std::exception& error) {
  return error_with_advice(
      error,
      "less is needed with a smaller train.batch_size (or evaluate.batch_size), train.activation_checkpointing=true or "
      "run.precision=bf16");
}

std::optional<Error> out_of_memory_for_images(const std::exception& error) {
  return error_with_advice(error,
                           "less is needed with a smaller --size, fewer threads (run.threads) or run.precision=bf16");
}

std::optional<Error> out_of_memory_for_weights(const std::exception& error) {
  return error_with_advice(error, "the net and its weights have no room here");
}

}  // namespace xtasc::train
