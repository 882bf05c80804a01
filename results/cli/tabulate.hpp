#pragma once

#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/table.hpp"
#include "run/run_summary.hpp"

namespace xtasc::tabulate {

/// The command line of xtasc-tabulate.
struct Options {
  std::vector<std::string> roots = {"results/runs"};
  std::string protocol;    ///< paper, dataset or both; empty: what the kind of table takes by itself
  std::string checkpoint;  ///< best, last or mean10; empty: what the kind of table takes by itself
  std::string format = "markdown";
  std::string output;
  std::string title = "Results";
  std::string seeds = "each";
  std::vector<std::string> by;
  bool paper = false;
  std::vector<std::string> only;
  std::string published;
  bool reduced = false;
  std::string field;
  std::string figure;
  std::vector<std::string> metrics;
  std::string delta_sign = "paper";
  std::string delta_mean = "metrics";

  [[nodiscard]] report::DeltaForm delta_form() const { return report::delta_form_of(delta_sign, delta_mean); }
  /// \param usual  where --checkpoint is not given
  [[nodiscard]] report::Checkpoint shown_checkpoint(report::Checkpoint usual = report::Checkpoint::best) const {
    return checkpoint.empty() ? usual : report::checkpoint_of(checkpoint);
  }
  /// \param usual  where --protocol is not given
  [[nodiscard]] std::vector<report::Protocol> shown_protocols(const std::string& usual) const;
};

/// Reads the runs that have numbers of the checkpoint, and warns of their packs. \throws Error when there is no
/// finished one, with what was found instead.
[[nodiscard]] run::LoadedRuns load_finished_runs(const Options& options);
/// The same for tables that show published rows as well: they may be of none.
[[nodiscard]] run::LoadedRuns load_runs_if_any(const Options& options, report::Checkpoint checkpoint);
/// A warning line for each pack that is no longer what runs were trained on.
void warn_of_packs(const run::LoadedRuns& loaded);

/// One line a run, each pack apart; what differs but for the seed in columns: the default table, and --by.
ExitCode print_tables(const Options& options);
/// --paper: each of the paper's tables, published and ours.
ExitCode print_paper_tables(const Options& options);
/// --field: one of the field's tables, published rows and ours; --field list: what there is.
ExitCode print_field_table(const Options& options);
/// --figure: SVG, PNG and the script that draws them.
ExitCode draw_figure(const Options& options);

}  // namespace xtasc::tabulate
