#include "results/tabulate.hpp"

namespace xtasc::tabulate {

ExitCode draw_figure(const Options& options) {
  fail_usage("--figure {} is not there yet", options.figure);
}

}  // namespace xtasc::tabulate
