#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/log.hpp"
#include "io/atomic_file.hpp"
#include "page/page.hpp"
#include "report/axes_sheet.hpp"
#include "results/cli/tabulate.hpp"
#include "run/config_values.hpp"

namespace xtasc::tabulate {

ExitCode write_page(const Options& options) {
  io::check_can_write_page("--html", options.html);
  std::vector<report::LabelColumn> labels = report::model_columns();
  if (!options.by.empty()) {
    labels.clear();
    std::ranges::transform(options.by, std::back_inserter(labels),
                           [](const std::string& key) { return report::axis_column(run::full_key(key)); });
  }
  const bool has_published = options.paper || !options.field.empty();
  const run::LoadedRuns loaded = load_runs_if_any(options, options.shown_checkpoint());
  const auto tables = report::make_tables(loaded.runs, options.shown_protocols("both"), options.shown_checkpoint(),
                                          options.delta_form());
  page::Page page{.title = options.title};
  page::add_seed_tables(page, tables);
  page::add_mean_tables(page, tables, labels);
  if (options.paper) {
    for (report::Sheet& sheet : paper_sheets(options, loaded)) {
      page.tables.push_back({std::move(sheet), page::Place::published});
    }
  }
  if (!options.field.empty()) {
    const FieldView view = field_view(options);
    run::LoadedRuns of_field = loaded;
    report::leave_out_runs_without(view.checkpoint, of_field);
    page.tables.push_back({field_sheet(options, view, of_field), page::Place::published});
  }
  page::add_runs(page, loaded, tables);
  if (page.runs.empty() && !has_published) {
    static_cast<void>(load_finished_runs(options));  // throws: what was found instead
  }
  page.warnings = pack_warnings(options, loaded);
  if (options.num_panels > 0) {
    add_panels(page, options);
  }
  const std::string text = page::to_html(page);
  if (constexpr std::size_t kLong = 3'000'000; options.num_panels == 0 && text.size() > kLong) {
    log_warning("a page of {} runs has {:.1f} MB: one of fewer run folders loads faster", page.runs.size(),
                static_cast<double>(text.size()) / 1e6);
  }
  options.watch->beat("writing " + options.html);
  io::write_file_atomically(options.html, text);
  log_info("wrote {}: {} run{}, {:.1f} MB", options.html, page.runs.size(), page.runs.size() == 1 ? "" : "s",
           static_cast<double>(text.size()) / 1e6);
  return ExitCode::success;
}

}  // namespace xtasc::tabulate
