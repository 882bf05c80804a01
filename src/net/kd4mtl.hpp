#pragma once

#include <vector>

#include "net/mtan.hpp"

namespace xtasc::net {

/// MTAN as a student: behind all of it two convolutions of 1x1 a task, which bring what its attention ends the way
/// down and the way up with to what the task's teacher, a STAN, has there. Predictions need none of them.
/// Li and Bilen 2020, arXiv:2007.06889; https://github.com/VICO-UoE/KD4MTL.
[[nodiscard]] Mtan kd4mtl(const Choice& choice);

[[nodiscard]] Chain kd4mtl_convolutions(const Choice& choice);

/// The systems that teach the tasks of a student, one a task: STAN. Empty for other systems.
[[nodiscard]] std::vector<config::ModelSection> teachers_of(const config::ModelSection& section);

}  // namespace xtasc::net
