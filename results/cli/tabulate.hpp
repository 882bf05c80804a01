#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/program_watch.hpp"
#include "page/page.hpp"
#include "report/field/field_tables.hpp"
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
  std::string html;
  std::int64_t num_panels = 0;
  bool bibtex = false;
  std::int64_t stall_seconds = 900;
  ProgramWatch* watch = nullptr;  ///< the program's

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
/// The field's table of --field, and which of our numbers stand beside it.
struct FieldView {
  report::FieldTable table;
  report::Checkpoint checkpoint;
};
/// \throws Error (exit code 2) where there is no such table, or for `--protocol both`
[[nodiscard]] FieldView field_view(const Options& options);

/// The paper's tables that were asked for, and the field's.
[[nodiscard]] std::vector<report::Sheet> paper_sheets(const Options& options, const run::LoadedRuns& loaded);
[[nodiscard]] report::Sheet field_sheet(const Options& options, const FieldView& view, const run::LoadedRuns& loaded);
/// A line for each pack that is no longer what runs were trained on.
[[nodiscard]] std::vector<std::string> pack_warnings(const Options& options, const run::LoadedRuns& loaded);

/// One line a run, each pack apart; what differs but for the seed in columns: the default table, and --by.
ExitCode print_tables(const Options& options);
/// --paper: each of the paper's tables, published and ours.
ExitCode print_paper_tables(const Options& options);
/// --field list: what there is.
ExitCode print_field_ids(const Options& options);
/// --field: one of the field's tables, published rows and ours.
ExitCode print_field_table(const Options& options);
/// --bibtex: entries of the software and of the work that the runs use.
ExitCode print_bibtex(const Options& options);
/// --html: tables, curves, configs and provenance as one page.
ExitCode write_page(const Options& options);
/// --panels: some samples of the validation split of each pack, with what its runs predict there. A run or pack that
/// cannot be shown is a warning on the page. \throws Error where none can
void add_panels(page::Page& page, const Options& options);
/// --figure predictions: a PNG of some samples with what each run predicts of them. \throws Error
ExitCode draw_predictions(const Options& options);
/// --figure: SVG, PNG and the script that draws them.
ExitCode draw_figure(const Options& options);

}  // namespace xtasc::tabulate
