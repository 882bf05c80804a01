#pragma once

#include <span>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "run/provenance.hpp"

namespace xtasc::cite {

/// A run, as far as its bibliography goes.
struct CitedRun {
  std::string name;  ///< of its folder
  const config::RunConfig* config = nullptr;
  const run::Provenance* provenance = nullptr;
};

/// What a run uses, in the order in which people would tell it: "software xtasc", "system align", "encoder resnet",
/// "weighting pcgrad", "data nyuv2", "optimizer adam", "software torch", "software mpi".
[[nodiscard]] std::vector<std::string> subjects_of(const config::RunConfig& config, const run::Provenance& provenance);

/// The BibTeX entries that the runs need, each once, in the order of use: this software, an entry for each of its
/// revisions, and others' work; above each a line that says what it is for and which runs need it. A data set that the
/// table does not know is a line.
[[nodiscard]] std::string bibtex(std::span<const CitedRun> runs);

/// A run's CITATION.cff (Citation File Format 1.2.0): this software at the run's revision, and the work that it uses.
[[nodiscard]] std::string citation_cff(const config::RunConfig& config, const run::Provenance& provenance);

}  // namespace xtasc::cite
