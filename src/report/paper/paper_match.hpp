#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/aggregate.hpp"
#include "report/paper/paper_tables.hpp"

namespace xtasc::report {

/// Which runs a table of the paper may show.
enum class PaperSettings {
  as_printed,  ///< those with the paper's size, epochs, batch, lambda, ...; the precision may differ
  reduced      ///< others too, if all rows depart from the paper in the same way
};

/// Our finished runs beside the rows of one published table.
struct PaperMatch {
  std::vector<PublishedRow> rows;        ///< the published ones; in V and VI also encoders that the paper lacks
  std::vector<const SeedGroup*> groups;  ///< by row; null where no run is finished, or the row is not ours
  std::vector<std::string> departures;   ///< of ours from the paper's settings: "train.epochs 5 (paper: 100)"
  std::size_t num_other_groups = 0;      ///< finished ones of these rows that are not shown: their settings differ
};

/// Finds the groups that a table's rows stand for, by what the runs are: data set and number of classes of the pack,
/// system, weighting, pretrained or not, in V and VI the encoder. All rows are from one pack and share their settings;
/// of several such sets, the one that fills most rows counts, then the one nearest to the paper's settings, then the
/// one with the most seeds.
[[nodiscard]] PaperMatch match_paper(const PublishedTable& table, std::span<const SeedGroup> groups,
                                     PaperSettings settings);

/// The config that the paper's settings give for a row and a system. \param extra  assignments over them
[[nodiscard]] config::RunConfig paper_config(const PublishedTable& table, const PublishedRow& row,
                                             const std::string& system, const std::vector<std::string>& extra = {});

}  // namespace xtasc::report
