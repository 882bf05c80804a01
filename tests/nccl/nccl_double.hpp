#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

/// Stands in for the nccl* and cuda* calls that dist/nccl/nccl_protocol.cpp makes, on host memory, over MPI. Linked in
/// place of libnccl and libcudart in the tests of this folder and nowhere else: tests/links.py looks.
///
/// What it keeps of the real ones: streams run in order and by themselves, beside each other; an operation runs only
/// when all ranks have come to it; making and finalizing a communicator waits for all ranks; a non-blocking one takes a
/// thread for each group, answers ncclInProgress for a while, and puts its work on the stream only then, and nothing
/// else may be done with it or its stream meanwhile. What it does not: kernels, networks, speed.
///
/// The device runs when this rank's main thread asks for it (run_device, cudaStreamSynchronize, cudaStreamQuery), so
/// that MPI is called from one thread only; other threads see its state.
namespace xtasc::test::nccl_double {

/// Before the first and after the last communicator. Collective.
void open();
void close();
/// Forgets calls, faults and scripts, not streams.
void reset();

/// Names of the calls that the main thread made, or a thread for it, in order; polls of ncclCommGetAsyncError in a row
/// count as one.
[[nodiscard]] std::vector<std::string> calls();
/// How many calls other threads have made, such as the watchdog's.
[[nodiscard]] int num_calls_of_others();
/// What was put on streams, in order: "stream 2: sum of 40 bytes".
[[nodiscard]] std::vector<std::string> launches();
/// How many threads NCCL would have started for groups, ever.
[[nodiscard]] int num_threads();
/// NCCL's own part of the environment, as it was when the last communicator was made: "NCCL_ALGO=Ring".
[[nodiscard]] std::vector<std::string> variables();
/// What was done against the rules of NCCL and CUDA: memory touched by two streams without an event between them, calls
/// while another is in progress, unbalanced groups, a destroyed communicator that was not finalized, ...
[[nodiscard]] std::vector<std::string> faults();
/// Events and communicators that were made and not given back.
[[nodiscard]] int num_alive();

[[nodiscard]] cudaStream_t make_stream();
/// As launches() calls it.
[[nodiscard]] int stream_number(cudaStream_t stream);
/// Enqueues `work`, which reads and writes num_bytes at data.
void launch(cudaStream_t stream, void* data, std::size_t num_bytes, std::function<void()> work);
/// The host is about to read data: a fault unless it has synchronized with whatever wrote it.
void host_reads(const void* data, std::size_t num_bytes);
/// Lets the device run until it is done or waits for a peer. \returns whether it is done
bool run_device();

/// From now on ncclCommGetAsyncError says so.
void fail_async(ncclResult_t code);
/// The next call of this name returns `code` and does nothing.
void refuse(const std::string& call, ncclResult_t code);
/// Calls of this name do not return until it is taken back; then those of ncclComm... fail.
void stall(const std::string& call, bool is_stalled = true);
/// From now on the device stands still, or one stream until it is let go.
void stop_device();
void stop_stream(cudaStream_t stream, bool is_stopped = true);
/// What ncclGetVersion says, until reset().
void set_version(int version);

}  // namespace xtasc::test::nccl_double
