#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

/// Stands in for the nccl* and cuda* calls that dist/nccl_protocol.cpp makes, on host memory, over MPI. Linked in place
/// of libnccl and libcudart in the tests of this folder and nowhere else: tests/links.py looks.
///
/// What it keeps of the real ones: streams run in order and by themselves; an operation runs only when all ranks have
/// come to it; a non-blocking communicator answers ncclInProgress for a while, and puts its work on the stream only
/// then; nothing else may be done with it or its stream meanwhile. What it does not: kernels, networks, speed.
///
/// The device runs when this rank's main thread asks for it (run_device, cudaStreamSynchronize, cudaStreamQuery), so
/// that MPI is called from one thread only; other threads see its state.
namespace xtasc::test::nccl_double {

/// Before the first and after the last communicator. Collective.
void open();
void close();
/// Forgets calls, faults and scripts, not streams.
void reset();

/// Names of the calls that the main thread made, in order; polls of ncclCommGetAsyncError in a row count as one.
[[nodiscard]] std::vector<std::string> calls();
/// How many calls other threads have made, such as the watchdog's.
[[nodiscard]] int num_calls_of_others();
/// What was done against the rules of NCCL and CUDA: memory touched by two streams without an event between them, calls
/// while another is in progress, unbalanced groups, a destroyed communicator that was not finalized, ...
[[nodiscard]] std::vector<std::string> faults();
/// Events and communicators that were made and not given back.
[[nodiscard]] int num_alive();

[[nodiscard]] cudaStream_t make_stream();
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
/// From now on the device stands still.
void stop_device();

}  // namespace xtasc::test::nccl_double
