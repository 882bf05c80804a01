#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/aggregate.hpp"
#include "report/paper/paper_tables.hpp"
#include "report/plot/matrix.hpp"
#include "report/plot/plot.hpp"

namespace xtasc::report {

/// A row of panels a task: its loss in training and validation, and its metrics, over epochs; a curve a group, as mean
/// with a band of one standard deviation over its seeds. Reads the runs' metrics.jsonl. \param groups  one pack's
/// \throws Error with more than kNumStyles groups
[[nodiscard]] Plot curves_plot(std::span<const SeedGroup> groups, Protocol protocol);

/// How much the tasks' gradients disagree over epochs: a row of panels a pair of tasks, with their cosine, log2 of the
/// ratio of their norms (first task to second) and the share of steps in conflict; a curve a group whose weighting
/// method had the gradients at hand, as mean with a band of one standard deviation over its seeds. Reads the runs'
/// metrics.jsonl. \param groups  one pack's \throws Error when no run holds any, or with more than kNumStyles groups
/// that do
[[nodiscard]] Plot conflict_plot(std::span<const SeedGroup> groups);

/// What one task gains at the cost of another: a panel a pair of tasks, one metric of each as its axes; a point a
/// group, its mean with bars of one standard deviation over its seeds; filled where no other is as good in both and
/// better in one, else hollow; a line along what the filled ones dominate. Groups of one model, encoder and weighting
/// look alike.
///
/// \param metrics  keys, at most one a task; of the tasks that they leave out the first
/// \throws Error when no net has two tasks, with a metric that they lack or a second one of a task (exit code 2), or
/// with more than kNumPointStyles methods
[[nodiscard]] Plot front_plot(std::span<const SeedGroup> groups, const std::vector<std::string>& metrics,
                              Protocol protocol, Checkpoint checkpoint);

/// The metrics over lambda: lambda_1 = lambda_2, and each alone; Base MT-Net stands at 0, Base ST-Net is a line across.
/// The paper's points where the runs have its data set and size.
/// \throws Error when no group has a lambda above 0
[[nodiscard]] Plot lambda_plot(std::span<const SeedGroup> groups, const std::vector<PublishedTable>& published,
                               Protocol protocol, Checkpoint checkpoint);

/// The metrics over the depth of the ResNet; the paper's points where the runs have its data set and size.
[[nodiscard]] Plot encoders_plot(std::span<const SeedGroup> groups, const std::vector<PublishedTable>& published,
                                 Protocol protocol, Checkpoint checkpoint);

/// The metrics over the share of training images that keep their labels (data.label_share), from the largest on the
/// left; last, images that keep those of one task (data.one_label).
/// \throws Error when all groups keep the same labels
[[nodiscard]] Plot labels_plot(std::span<const SeedGroup> groups, Protocol protocol, Checkpoint checkpoint);

/// Which task helps which: the change of Delta_m that a single pair of model.transfer_pairs makes against the nets
/// without transfer that are alike (Base MT-Net), over the seeds that both have.
/// \param table  one pack's
/// \throws Error when no run has a single pair, those that have one differ in more than pair and seed, there is no
/// Base MT-Net like them, or Delta_m is absent, with the reason that the table gives
[[nodiscard]] Matrix pairs_matrix(const Table& table);

}  // namespace xtasc::report
