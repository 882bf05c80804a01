// xtasc-tabulate: run folders -> tables in Markdown and CSV.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/cli.hpp"
#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "results/run_summary.hpp"
#include "results/table_csv.hpp"
#include "results/table_markdown.hpp"

namespace fs = std::filesystem;
using namespace xtasc;  // NOLINT: a program's main file

namespace {

struct Options {
  std::vector<std::string> roots = {"results/runs"};
  std::string protocol = "both";
  std::string checkpoint = "best";
  std::string output;
  std::string title = "Results";
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("RUNS_DIR", options.roots, "Run folders, or folders with runs below them")->capture_default_str();
  app.add_option("--protocol", options.protocol,
                 "paper: metrics by image, averaged; dataset: over all pixels of the set; both: two tables")
      ->check(CLI::IsMember({"paper", "dataset", "both"}))
      ->capture_default_str();
  app.add_option("--checkpoint", options.checkpoint, "The epoch shown: lowest validation loss (best), or the last")
      ->check(CLI::IsMember({"best", "last"}))
      ->capture_default_str();
  app.add_option("--output", options.output, "Write PREFIX.md and PREFIX.csv as well")->type_name("PREFIX");
  app.add_option("--title", options.title, "First line of the Markdown")->capture_default_str();
}

void write_files(const std::string& prefix, const std::string& markdown, const std::string& csv) {
  const fs::path folder = fs::path(prefix).parent_path();
  std::error_code error;
  if (!folder.empty()) {
    fs::create_directories(folder, error);
    check(!error, "cannot make the folder {} for --output: {}", folder.string(), error.message());
  }
  io::write_file_atomically(prefix + ".md", std::string_view(markdown));
  io::write_file_atomically(prefix + ".csv", std::string_view(csv));
}

ExitCode tabulate(const Options& options) {
  const std::vector<fs::path> roots(options.roots.begin(), options.roots.end());
  const results::LoadedRuns loaded = results::load_runs(roots);
  if (loaded.runs.empty()) {
    std::vector<std::string> details;
    for (const results::LeftOutRun& run : loaded.left_out) {
      details.push_back(run.folder.string() + ": " + run.reason);
    }
    throw Error(
        fmt::format("no finished run in {}: found {}; train with xtasc-train first", fmt::join(options.roots, ", "),
                    details.empty() ? "no run folder" : fmt::format("{} that cannot be shown", details.size())),
        ExitCode::failure, details);
  }
  using results::Protocol;
  const std::map<std::string, std::vector<Protocol>> protocols = {
      {"paper", {Protocol::paper}}, {"dataset", {Protocol::dataset}}, {"both", {Protocol::paper, Protocol::dataset}}};
  const auto checkpoint = options.checkpoint == "best" ? results::Checkpoint::best : results::Checkpoint::last;
  const auto tables = results::make_tables(loaded.runs, protocols.at(options.protocol), checkpoint);
  const std::string markdown = results::to_markdown(options.title, tables, loaded.left_out);
  if (!options.output.empty()) {
    write_files(options.output, markdown, results::to_csv(tables));
  }
  const bool is_printed = std::fputs(markdown.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  check(is_printed, "cannot write to standard output: {}", errno_text(errno));
  return ExitCode::success;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Tables of finished runs: metrics, parameters, and Delta_m against the Base ST-Net pair",
               "xtasc-tabulate");
  Options options;
  add_options(app, options);
  return run_program(app, argc, argv, [&options] { return tabulate(options); });
}
