#pragma once

namespace xtasc::launch {

/// What the fields of `--json` mean: the foot of --help.
inline constexpr const char* kJsonFields =
    R"(Fields of --json. A timing is {"median", "min", "max", "rounds"}, in seconds.
  benchmark, command          the subcommand; the program's call, of which `ranks` were started
  machine                     processor, cores, version, compiler, libraries, time (UTC) of the run
  ranks, ranks_on_this_host   of the run
  threads_a_rank, device      of each rank
  system, encoder, precision, weighting, classes, height, width, batch_size
                              what was computed; batch_size is over all ranks
 step
  seconds_per_step            median of `step`, the slowest rank's time of a training step
  images_per_second           batch_size / seconds_per_step
  peak_bytes                  most resident memory of a rank until the last step that was timed
  device_peak_allocated_bytes, device_peak_reserved_bytes
                              on a GPU: most of its memory held by tensors, by torch's allocator (not run on a GPU yet)
  cuda_graph                  whether the steps were replayed from a CUDA graph
  phases.peak_GFLOP_per_s     all ranks at once: the better of torch's own matrix product and 3x3 convolution
  phases.phases[], phases.all seconds of each phase of a step (the slowest rank's), and of all
    GFLOP, GFLOP_per_s, of_peak
                              the plain form's arithmetic: what a rewrite saves counts as done
    executed_GFLOP, executed_GFLOP_per_s, executed_of_peak
                              the products that the rewrites leave: the distance to the hardware's limit
  phases.layers               convolutions by form: winograd, at_low_size (contracted before an upsample), plain
  peer.best, .graph, .compiled, .eager (--peer; graph, the best form's step as a CUDA graph, on CUDA only)
    step, ratio               the peer's timing; its times divided by ours of the same round
    peak_bytes, memory_ratio  most memory of that form's process, resident or on a GPU held by tensors; divided by ours
    first_losses_deviation    largest relative difference of the losses of the first step
    idle_cpu_seconds          processor time that it took while it was another's turn, at most
 step --launches (computed, not measured: see docs/gpu.md)
  work                        plain_flop, executed_flop: of a step's convolutions, without and with CUDA's rewrites
  launches, launches_of_two_ranks
    total, by_cause           launches; bytes read and written, each tensor once; flop of convolutions;
                              large_launches, large_bytes: of those that move 4 MiB or more each
    kernels[], convolutions[] the same by cause and name, and by direction and shape; of one rank
    messages                  sums over the ranks: small (below 64 KiB), large, bytes
 weighting
  methods.NAME                step, and ratio_to_equal: its median over that of equal weights
 scaling
  images_a_rank               of the measurements below
  alone[], sizes[]            step: of each rank for itself, all at work at once, by images and by image size
  one_rank_while_others_wait  seconds of a step
  sums                        the gradient: bytes, and seconds of its sum; small sums: number in a step, seconds of one
  by_ranks[]                  seconds, images_per_second: of one rank alone, and of all together
  work_of_all_ranks_to_one    images/s of all ranks over those of one while the others wait
 allreduce
  sums[]                      mebibytes, seconds, GB_per_s summed, GB_per_s_a_link moved in a ring
 evaluate
  images, evaluate, images_per_second
 export
  predict, images_per_second  a batch by our own net
  onnxruntime                 version, predict, images_per_second of the exported net; ratio: its times divided by ours
                              of the same round
 pack
  samples, height, width, bytes, open, read, upload, memcpy, memcpy_huge_pages, h5py, speedup_over_h5py
 preprocess
  samples, height, width, raw_height, raw_width, bytes, workers, made_frames, pack, inflate,
  pack_over_inflate, opencv, speedup_over_opencv)";

}  // namespace xtasc::launch
