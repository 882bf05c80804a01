#pragma once

#include <cstdint>
#include <filesystem>

#include "config/run_config.hpp"

namespace xtasc::run {

/// What a student's data are like; 0: not known here.
struct StudentData {
  std::int64_t num_classes = 0, height = 0, width = 0;
};

/// Looks at what a student wants to learn from, a run or a file of weights, without reading the weights. A file must
/// begin as torch.save or safetensors write one; where it is of a checkpoint (RUN/checkpoint/best/weights.pt), its run
/// is looked at. \param teacher  the system that it must be of \throws Error saying why it cannot be: no folder of a
/// run, a run of another system or task, on data of another number of classes or size, one that is not DONE, or one of
/// the same pack with other held-out images than the student's, where it has some
void check_teacher(const std::filesystem::path& path, const config::ModelSection& teacher, const StudentData& student,
                   const config::RunConfig& student_config);

}  // namespace xtasc::run
