#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace xtasc::run {

/// One start of a run: what computed from then on.
struct Start {
  std::string time;  ///< ISO 8601, UTC
  std::string version, commit, diff_hash, build_type, compiler;
  std::map<std::string, std::string> libraries;
  std::vector<std::string> hosts, devices;  ///< by rank
  int world_size = 1;
  std::string pack_path;
  std::vector<std::string> command_line;
  std::int64_t epoch = 0, step = 0;  ///< where it went on from: epochs completed, optimizer steps
};

/// Where a run's numbers come from: provenance.json. What is not of a start is the first one's.
struct Provenance {
  std::string version, commit, diff_hash, build_type, compiler;  ///< of the source (core/version.hpp)
  std::map<std::string, std::string> libraries;                  ///< as loaded: torch, mpi, nccl, hdf5, opencv, cuda
  std::vector<std::string> hosts;                                ///< by rank
  std::vector<std::string> devices;  ///< by rank: "cpu (AMD EPYC, 1 thread)", "cuda:0 (NVIDIA H200)"
  int world_size = 1;
  std::string precision;
  std::string pack_path, pack_digest, pack_dataset;
  std::int64_t pack_height = 0, pack_width = 0, pack_num_classes = 0;  ///< 0: not recorded
  std::string pack_orientation;  ///< as pack::Schema has it; empty for most packs, and where not recorded
  std::string pack_resize;       ///< as pack::Schema has it; empty: not recorded
  std::string pack_depth_kind;   ///< "metres" or "inverse_depth"; empty: not recorded
  std::vector<std::string> command_line;
  std::string started;               ///< ISO 8601, UTC; of the first start
  std::string finished;              ///< empty until DONE
  std::vector<std::string> resumed;  ///< times of later starts
  std::int64_t num_parameters = 0;   ///< trainable, of the whole net
  std::vector<Start> starts;         ///< in their order; empty in files of versions that did not record them
  /// Of a student's teachers, by the task's key: XXH3-128 of their weights, and what was chosen for them but the seed
  /// (run::recipe_digest), or of a file its bytes again. Empty for other systems.
  std::map<std::string, std::string> teacher_weights, teacher_recipes;
  /// Of the pack's file at the last start: bytes, and nanoseconds since 1970; 0: not recorded.
  std::int64_t pack_bytes = 0, pack_modified = 0;
};

/// What a run's first start has in common with every other.
[[nodiscard]] Start start_of(const Provenance& provenance);
/// The numbers of ranks of a run's starts: "2", or "2, then 1".
[[nodiscard]] std::string ranks_text(const Provenance& provenance);
/// How the last start of a run differs from the one before, in words: "version 0.1.0 (1a2b) instead of ..., 1 rank
/// instead of 2"; empty where they are alike.
[[nodiscard]] std::string difference_of_last_starts(const Provenance& provenance);

/// Writes provenance.json atomically. \throws Error with the path and the system's reason.
void write_provenance(const std::filesystem::path& path, const Provenance& provenance);
/// Keys that a later version added are ignored. \throws Error with the path and the field that is missing or wrong.
[[nodiscard]] Provenance read_provenance(const std::filesystem::path& path);

}  // namespace xtasc::run
