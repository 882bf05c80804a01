// xtasc-tabulate: run folders -> tables in Markdown, CSV and LaTeX, and figures.
#include "results/cli/tabulate.hpp"

#include <CLI/CLI.hpp>
#include <chrono>
#include <string>

#include "core/cli.hpp"
#include "core/user_path.hpp"

using namespace xtasc;  // NOLINT: a program's main file

namespace {

void add_options(CLI::App& app, tabulate::Options& options) {
  app.add_option("RUNS_DIR", options.roots, "Run folders, or folders with runs below them")->capture_default_str();
  app.add_option("--protocol", options.protocol,
                 "paper: metrics by image, averaged; dataset: over all pixels of the set; both: two tables. Default: "
                 "both; with --paper and --figure: paper")
      ->check(CLI::IsMember({"paper", "dataset", "both"}));
  app.add_option("--checkpoint", options.checkpoint,
                 fmt::format("{}. Default: best; with --field what the published rows are", report::kCheckpointHelp))
      ->check(CLI::IsMember(report::checkpoint_names()));
  CLI::Option* format =
      app.add_option("--format", options.format, "What is printed; latex: tables of the package booktabs")
          ->check(CLI::IsMember({"markdown", "csv", "latex"}))
          ->capture_default_str();
  CLI::Option* output =
      app.add_option(
             "--output", options.output,
             "Write PREFIX.md, PREFIX.csv and PREFIX.tex as well; with --figure PREFIX.svg, PREFIX.png, PREFIX.gp")
          ->type_name("PREFIX");
  app.add_option("--title", options.title,
                 "First line of the Markdown and of a figure; the last words of each caption of --paper")
      ->capture_default_str();
  CLI::Option* seeds =
      app.add_option("--seeds", options.seeds, "each: a row a seed; mean: mean +- deviation over seeds")
          ->check(CLI::IsMember({"each", "mean"}))
          ->capture_default_str();
  CLI::Option* by = app.add_option("--by", options.by,
                                   "Rows by the values of config keys, e.g. lambda_1,model.encoder, as mean +- "
                                   "deviation over seeds")
                        ->type_name("KEY[,KEY]")
                        ->allow_extra_args(false)
                        ->delimiter(',');
  CLI::Option* paper = app.add_flag(
      "--paper", options.paper, "The paper's Tables I to VIII: published figures, ours beside them, what is missing");
  app.add_option("--only", options.only, "Some of the paper's tables, e.g. I,III")
      ->type_name("TABLE[,TABLE]")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->check(CLI::IsMember({"I", "II", "III", "IV", "V", "VI", "VII", "VIII"}))
      ->needs(paper);
  app.add_flag("--reduced", options.reduced,
               "Also runs that depart from the paper's settings (size, encoder, epochs, ...), all rows alike; the "
               "caption says how")
      ->needs(paper);
  CLI::Option* field =
      app.add_option(
             "--field", options.field,
             "A table of other papers' results by its id, ours beside them, and in what their protocols differ; "
             "list: the ids")
          ->type_name("ID");
  CLI::Option* figure =
      app.add_option("--figure", options.figure,
                     "Draw, plots with gnuplot: curves of loss and metrics over epochs, metrics over "
                     "lambda (lambda), the encoder's size (encoders) or the share of images that "
                     "keep their labels (labels), what each pair of tasks alone changes of "
                     "Delta_m (pairs), each net by one metric of each task, with those that no "
                     "other dominates (front), the conflict of the tasks' gradients over epochs (conflict), "
                     "or what runs predict of some samples, side by side (predictions)")
          ->check(
              CLI::IsMember({"curves", "lambda", "encoders", "labels", "pairs", "front", "conflict", "predictions"}));
  app.add_option("--metrics", options.metrics,
                 "The axes of --figure front: keys of metrics, at most one a task, e.g. pix_acc,rel_err; of the other "
                 "tasks the first")
      ->type_name("KEY[,KEY]")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->needs(figure);
  app.add_option("--published", options.published,
                 "The published figures, in the format of results/paper_tables.toml, with --field of "
                 "results/field_tables.toml, instead of those built in")
      ->type_name("FILE");
  CLI::Option* delta_sign = app.add_option("--delta-sign", options.delta_sign, report::kDeltaSignHelp)
                                ->check(CLI::IsMember({"paper", "field"}))
                                ->capture_default_str();
  CLI::Option* delta_mean = app.add_option("--delta-mean", options.delta_mean, report::kDeltaMeanHelp)
                                ->check(CLI::IsMember({"metrics", "tasks"}))
                                ->capture_default_str();
  CLI::Option* html =
      app.add_option("--html", options.html,
                     "Write one page that a browser shows, without network or other files: tables that sort and "
                     "filter, curves, configs, provenance; with --paper or --field their tables, too")
          ->type_name("FILE")
          ->excludes(figure)
          ->excludes(seeds)
          ->excludes(format)
          ->excludes(output);
  app.add_option(
         "--panels", options.num_panels,
         "On the page and with --figure predictions (4 there): so many samples of the validation split with what "
         "each run predicts of them, beside the truth, by xtasc-predict")
      ->check(CLI::Range(1, 64));
  add_stall_option(app, options.stall_seconds);
  app.add_flag("--bibtex", options.bibtex,
               "Print the BibTeX entries of the methods, networks, data sets and software that the runs use")
      ->excludes(html)
      ->excludes(paper)
      ->excludes(field)
      ->excludes(figure)
      ->excludes(by)
      ->excludes(seeds)
      ->excludes(format)
      ->excludes(output);
  paper->excludes(by)->excludes(figure)->excludes(seeds);
  by->excludes(figure)->excludes(seeds);
  figure->excludes(seeds);
  paper->excludes(delta_sign)->excludes(delta_mean);  // published tables have their own
  field->excludes(delta_sign)->excludes(delta_mean);
  field->excludes(paper)->excludes(by)->excludes(figure)->excludes(seeds);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Tables and figures of finished runs: metrics, parameters, and Delta_m against the single-task nets",
               "xtasc-tabulate");
  ProgramWatch watch({.program = "xtasc-tabulate"});
  tabulate::Options options;
  options.watch = &watch;
  add_options(app, options);
  return run_program(app, argc, argv, [&options, &watch] {
    watch.set_limit(std::chrono::seconds(options.stall_seconds), "--stall-seconds");
    if (options.num_panels > 0 && options.html.empty() && options.figure != "predictions") {
      fail_usage("--panels is of --html and of --figure predictions");
    }
    require_input("--published", options.published);
    const bool has_published =
        options.paper || !options.field.empty() || options.figure == "lambda" || options.figure == "encoders";
    if (!options.published.empty() && !has_published) {
      fail_usage("--published is of --paper, --field and --figure lambda and encoders, which show such figures");
    }
    return options.field == "list"   ? tabulate::print_field_ids(options)
           : options.bibtex          ? tabulate::print_bibtex(options)
           : !options.html.empty()   ? tabulate::write_page(options)
           : options.paper           ? tabulate::print_paper_tables(options)
           : !options.field.empty()  ? tabulate::print_field_table(options)
           : !options.figure.empty() ? tabulate::draw_figure(options)
                                     : tabulate::print_tables(options);
  });
}
