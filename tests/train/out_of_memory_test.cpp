// What a program says and returns when memory does not suffice, by the way that errors take in xtasc-train.
#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <oneapi/dnnl/dnnl_common.hpp>

#include <CLI/CLI.hpp>
#include <array>
#include <new>
#include <optional>

#include "launch/common/rank_errors.hpp"
#include "train/device.hpp"
#include "train/out_of_memory.hpp"

namespace xtasc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct End {
  int code;
  std::string text;
};

End run(const std::function<void()>& body) {
  CLI::App app("A test's program.", "program");
  std::array<char, 8> name = {"program"};
  std::array<char*, 1> arguments = {name.data()};
  const std::optional<dist::MpiSession> session;
  testing::internal::CaptureStderr();
  const int code = run_program(
      app, 1, arguments.data(),
      [&] {
        body();
        return ExitCode::success;
      },
      launch::rank_error_hooks(session, train::out_of_memory_error));
  return {code, testing::internal::GetCapturedStderr()};
}

TEST(OutOfMemory, OnTheGpuIsOneLineWithTheAmountsAndTheKeys) {
  // As c10/cuda/CUDACachingAllocator.cpp of torch 2.11 puts it.
  const End end = run([] {
    TORCH_CHECK_WITH(
        OutOfMemoryError, false,
        "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.06 GiB is "
        "free. Process 4711 has 78.03 GiB memory in use. Of the allocated memory 70.12 GiB is allocated by PyTorch, "
        "and 5.10 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is large try ...");
  });
  EXPECT_EQ(end.code, static_cast<int>(ExitCode::out_of_memory));
  EXPECT_EQ(std::ranges::count(end.text, '\n'), 1);
  EXPECT_THAT(end.text, AllOf(HasSubstr("out of memory on the GPU: 2.25 GiB were asked for, 1.06 GiB of 79.10 GiB are"),
                              HasSubstr("train.batch_size"), HasSubstr("train.activation_checkpointing=true"),
                              HasSubstr("run.precision=bf16")));
}

TEST(OutOfMemory, OnTheHostAsTorchFindsIt) {
  const End end = run([] { static_cast<void>(at::empty({std::int64_t{1} << 50})); });
  EXPECT_EQ(end.code, 3);
  EXPECT_THAT(end.text, AllOf(HasSubstr("out of memory on the host: 4503599627370496 bytes were asked for"),
                              HasSubstr("train.batch_size")));
  const End of_new = run([] { throw std::bad_alloc(); });
  EXPECT_EQ(of_new.code, 3);
  EXPECT_THAT(of_new.text,
              HasSubstr("error: out of memory on the host; less is needed with a smaller train.batch_size"));
}

TEST(OutOfMemory, OfOneDnn) {
  const char* words = "could not create a primitive";
  const End end = run([&] { throw dnnl::error(dnnl_out_of_memory, words); });
  EXPECT_EQ(end.code, 3);
  EXPECT_THAT(end.text, HasSubstr("out of memory on the host: could not create a primitive; less is needed with"));
  EXPECT_EQ(run([&] { throw dnnl::error(dnnl_unimplemented, words); }).code, 1);
  EXPECT_EQ(run([] { fail("the recorded network: RuntimeError: could not create a primitive"); }).code, 3);
}

TEST(OutOfMemory, InReadingWeightsNoSettingHelps) {
  const auto error = train::out_of_memory_for_weights(std::bad_alloc());
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->what(), "out of memory on the host; the net and its weights have no room here");
}

TEST(OutOfMemory, OfOtherLibraries) {
  for (const char* words : {"CUDA error: out of memory\nCUDA kernel errors might ...", "CUDNN_STATUS_ALLOC_FAILED"}) {
    const End end = run([&] { throw std::runtime_error(words); });
    EXPECT_EQ(end.code, 3);
    EXPECT_THAT(end.text, HasSubstr("out of memory on the GPU: CUD"));
    EXPECT_EQ(std::ranges::count(end.text, '\n'), 1);
  }
}

/// Our own error with NCCL's words in it, as src/dist/nccl/nccl_protocol.cpp throws it.
TEST(OutOfMemory, OfNccl) {
  const auto end_of = [](const std::string& words) {
    return run([&] { fail("NCCL, making a communicator: unhandled cuda error ({})", words); });
  };
  for (const char* words : {"Failed to CUDA calloc async 4194304 bytes", "Failed to CUDA malloc 4194304 bytes"}) {
    EXPECT_EQ(end_of(words).code, 3);
    EXPECT_THAT(end_of(words).text, HasSubstr("out of memory on the GPU: 4194304 bytes were asked for"));
  }
  EXPECT_EQ(end_of("Cuda failure 'out of memory'").code, 3);
  EXPECT_EQ(end_of("Cuda failure 2 'out of memory'").code, 3);
  EXPECT_THAT(end_of("Failed to CUDA host alloc 4096 bytes").text, HasSubstr("on the host: 4096 bytes were asked for"));
  EXPECT_EQ(end_of("Cuda failure 'an illegal memory access was encountered'").code, 1);
}

TEST(OutOfMemory, IsNothingElse) {
  const End end = run([] { throw std::runtime_error("CUDA error: an illegal memory access was encountered"); });
  EXPECT_EQ(end.code, 1);
  EXPECT_THAT(end.text, AllOf(HasSubstr("illegal memory access"), Not(HasSubstr("batch_size"))));
}

TEST(PrecisionInMemory, Fp32OnAGpuGetsAdvice) {
  EXPECT_THAT(train::advice_on_precision(at::kCUDA, config::Precision::fp32), HasSubstr("bf16"));
  EXPECT_EQ(train::advice_on_precision(at::kCUDA, config::Precision::bf16), "");
  EXPECT_EQ(train::advice_on_precision(at::kCUDA, config::Precision::tf32), "");
  EXPECT_EQ(train::advice_on_precision(at::kCPU, config::Precision::fp32), "");
}

}  // namespace
}  // namespace xtasc
