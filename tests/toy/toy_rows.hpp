#pragma once

// What programs without torch know of the toys: the rows of their task, systems and method.
namespace xtasc::test {

/// Adds to the tables, once however often it is called:
///
/// - task `flow`: a made-up regression of 2 channels, of the kind of depth, with metrics of its own
/// - system `toy`: seg, depth and flow by a network without an encoder cut, whose tasks share a trunk and, behind their
///   own branches, a mixing convolution; each task is predicted from each other one (xtc)
/// - systems `toy_st_scene` (seg and depth) and `toy_st_flow` by the same network, without transfers: the two halves of
///   the row that a toy's Delta_m is taken against
/// - system `xtasc_of_three`: the paper's network with these three tasks
/// - method `toy_halves`: task t counts 1 / 2^t
void add_toy_rows();

}  // namespace xtasc::test
