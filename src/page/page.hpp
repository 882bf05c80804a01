#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "report/axes_sheet.hpp"
#include "report/sheet.hpp"
#include "report/table.hpp"
#include "run/run_summary.hpp"

// Runs as one HTML page that needs nothing else: no network, no other file. Every number on it is computed here, from
// the sheets that the other formats have; its script only sorts, filters and draws.
namespace xtasc::page {

/// Where a table stands on the page.
enum class Place {
  state,      ///< on top: what became of a sweep's runs
  each,       ///< among those of results, one of which is shown: a row a seed
  mean,       ///< among those of results: a row of seeds
  published,  ///< below: others' figures, ours beside them
};

struct PageTable {
  report::Sheet sheet;
  Place place = Place::each;
  std::optional<report::Protocol> protocol = {};  ///< of results
};

/// A run with a history, finished or not.
struct PageRun {
  std::filesystem::path folder;
  std::string name;   ///< tells it from the page's other runs
  std::string state;  ///< "done", "not finished: 3 of 10 epochs"
  std::size_t style = 0;
  config::RunConfig config;
  run::Provenance provenance;
  std::vector<run::EpochRecord> epochs;
  std::vector<std::string> warnings = {};  ///< that it told, each once, as far as its log.txt holds what it printed
};

/// Runs that differ in their seed alone: their mean is a curve, too.
struct PageGroup {
  std::string name;
  std::size_t style = 0;
  std::vector<std::size_t> runs;  ///< indices
};

/// A picture of a task's truth or of what a run predicts, as a data: address.
using Picture = std::string;

/// What is shown of some samples of one pack.
struct PagePanels {
  struct Map {
    std::string title;                ///< "depth"
    std::string scale;                ///< "0.82 to 7.4 m": what the two ends of the colour map are; may be empty
    std::vector<Picture> truth = {};  ///< by sample; empty where there is none
    std::vector<std::vector<Picture>> predicted = {};  ///< by run as `runs`, then by sample; empty where it has none
  };
  struct Class {
    std::string name, color;  ///< "#80ff00"
  };
  std::vector<std::size_t> runs;       ///< indices into Page::runs
  std::vector<std::string> samples;    ///< their names
  std::vector<Picture> images;         ///< by sample
  std::vector<Map> maps;               ///< of each task
  std::vector<Class> classes = {};     ///< the legend of classes; empty where no run has any
  std::int64_t height = 0, width = 0;  ///< of all pictures, in pixels
};

struct Page {
  std::string title;
  std::string summary = {};  ///< a line below the title; may be empty
  std::vector<PageTable> tables = {};
  std::vector<PageRun> runs = {};
  std::vector<PageGroup> groups = {};
  std::vector<run::LeftOutRun> left_out = {};  ///< of no table, with the reason
  std::vector<std::string> warnings = {};      ///< of all runs: packs that changed
  std::vector<PagePanels> panels = {};
  int reload_seconds = 0;  ///< the page loads itself again; 0: never
};

/// A row a seed, of each table; and a row of seeds, labelled by `labels`, of those where a net has several.
void add_seed_tables(Page& page, const std::vector<report::Table>& tables);
void add_mean_tables(Page& page, const std::vector<report::Table>& tables,
                     const std::vector<report::LabelColumn>& labels);

/// The runs that were read, those of a seed that is there twice too, and of those left out each that has a history.
/// Names and styles of the seeds of one net are alike, by the tables in the first of their protocols.
/// \param tables  of make_tables(), of which one protocol is looked at
void add_runs(Page& page, const run::LoadedRuns& loaded, const std::vector<report::Table>& tables);

/// The whole file, UTF-8. Long histories are thinned, so that the page stays below 3 MB but for its panels; it says so.
[[nodiscard]] std::string to_html(const Page& page);

}  // namespace xtasc::page
