#include "sweep/slurm/batch_script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "core/command.hpp"
#include "core/error.hpp"

namespace xtasc::sweep {

namespace {

/// As a value of an #SBATCH line, which knows double quotes and backslashes only.
std::string directive_value(const std::string& text) {
  if (text.find_first_of(" \t'\"\\#") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += (c == '"' || c == '\\') ? fmt::format("\\{}", c) : std::string(1, c);
  }
  return quoted + "\"";
}

/// Of a path in --output, where sbatch puts numbers in place of %A and the like.
std::string without_patterns(const std::string& path) {
  std::string text;
  for (const char c : path) {
    text += c == '%' ? std::string("%%") : std::string(1, c);
  }
  return text;
}

std::string directives(const Site& site, const BatchJob& job) {
  const std::filesystem::path submission = job.folder / ".sweep" / "submissions" / job.token;
  std::vector<std::string> options = {
      fmt::format("--job-name={}", job_name(job)),
      fmt::format("--comment={}", job_comment(job.token)),
      fmt::format("--chdir={}", directive_value(job.directory.string())),
      fmt::format("--output={}", directive_value(without_patterns((submission / "log").string()) + "/%A_%a.txt")),
      fmt::format("--array=0-{}{}", num_elements(job.num_runs, site) - 1,
                  job.max_at_once > 0 ? fmt::format("%{}", job.max_at_once) : ""),
      fmt::format("--nodes={}", site.nodes),
      fmt::format("--ntasks-per-node={}", site.ranks_per_node),
      fmt::format("--cpus-per-task={}", site.cpus_per_rank)};
  if (site.gpus_per_node > 0) {
    options.push_back(
        fmt::format("--gpus-per-node={}{}{}", site.gpu_type, site.gpu_type.empty() ? "" : ":", site.gpus_per_node));
  }
  options.push_back(fmt::format("--time={}", site.time));
  for (const auto& [option, value] : {std::pair{"--mem", &site.memory},
                                      {"--partition", &site.partition},
                                      {"--account", &site.account},
                                      {"--qos", &site.qos}}) {
    if (!value->empty()) {
      options.push_back(fmt::format("{}={}", option, *value));
    }
  }
  // Of a job started by mpirun only the batch shell is told: it passes the word on.
  options.push_back(
      fmt::format("--signal={}USR2@{}", site.launcher == Launcher::mpirun ? "B:" : "", site.warning_seconds));
  options.insert(options.end(), {"--requeue", "--open-mode=append"});
  options.insert(options.end(), site.extra.begin(), site.extra.end());
  return fmt::format("#SBATCH {}", fmt::join(options, "\n#SBATCH "));
}

std::string environment(const Site& site) {
  std::string text;
  for (const std::string& name : site.modules) {
    text += fmt::format("module load {}\n", name);
  }
  for (const std::string& assignment : site.environment) {
    const auto equals = assignment.find('=');
    text += fmt::format("export {}={}\n", assignment.substr(0, equals), shell_word(assignment.substr(equals + 1)));
  }
  return text;
}

std::string launch_command(const Site& site) {
  const std::int64_t ranks = site.nodes * site.ranks_per_node;
  const bool is_shared = site.runs_per_gpu > 1;
  std::vector<std::string> words;
  if (site.launcher == Launcher::srun) {
    words = {"exec srun --mpi=pmix --kill-on-bad-exit=0 --wait=30",
             fmt::format("--nodes={} --ntasks={} --ntasks-per-node={}", site.nodes, ranks, site.ranks_per_node),
             fmt::format("--cpus-per-task={} --cpu-bind={}", site.cpus_per_rank, is_shared ? "none" : "cores")};
    if (is_shared) {
      words.emplace_back("--overlap");
    }
  } else {
    words = {fmt::format("exec mpirun -np {} --map-by ppr:{}:node", ranks, site.ranks_per_node)};
    if (is_shared) {
      words.emplace_back("--bind-to none");
    } else {
      words.back() += fmt::format(":PE={}", site.cpus_per_rank);
      words.emplace_back("--bind-to core");
    }
  }
  for (const std::string& option : site.options) {
    words.push_back(shell_word(option));
  }
  return fmt::format("{}", fmt::join(words, " \\\n    "));
}

/// NVIDIA's MPS for runs that share GPUs: without it the GPU gives each run slices of time, and nothing overlaps. On
/// several nodes this shell is on the first one only, so there the runs take turns.
std::string sharing(const Site& site) {
  if (site.runs_per_gpu == 1 || site.gpus_per_node == 0 || site.nodes > 1) {
    return {};
  }
  return R"sh(
# MPS: the runs of this element compute on a GPU at the same time instead of taking turns. Not run on a GPU yet.
# Folders of its own, since others of this user may work on the node, and short ones: a socket's path has 107 bytes.
# Without CUDA_VISIBLE_DEVICES: the server would count the GPUs anew, and the runs' numbers would mean others.
start_mps() {
  local folder
  folder="$(mktemp -d "/tmp/xtasc-mps-$SLURM_JOB_ID-XXXXXX")" || {
    echo "no MPS: there is no folder to be had in /tmp; runs that share a GPU take turns"
    return
  }
  export CUDA_MPS_PIPE_DIRECTORY="$folder" CUDA_MPS_LOG_DIRECTORY="$folder"
  if env -u CUDA_VISIBLE_DEVICES nvidia-cuda-mps-control -d; then
    trap stop_mps EXIT
  else
    echo "no MPS: nvidia-cuda-mps-control is missing or does not start; runs that share a GPU take turns"
    rm -rf "$CUDA_MPS_PIPE_DIRECTORY"
    unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
  fi
}

stop_mps() {
  echo quit | nvidia-cuda-mps-control
  rm -rf "$CUDA_MPS_PIPE_DIRECTORY"
}
start_mps
)sh";
}

std::string trainer_options(const Site& site, const BatchJob& job) {
  std::string options;
  if (site.runs_per_gpu > 1) {
    // The trainer shares a host's cores among its own ranks, and knows nothing of other runs.
    options = fmt::format(" --set run.threads={}", std::max<std::int64_t>(1, site.cpus_per_rank / site.runs_per_gpu));
  }
  return options + (job.sweeper_hash.empty() ? "" : R"( ${until_epoch:+--until-epoch "$until_epoch"})");
}

/// What a script of a sweep with [stop] has more: who is asked for a run's rungs, the question before a start, and what
/// becomes of a run that ended well at a rung.
struct RungParts {
  std::string program, question, end;
};

RungParts rung_parts(const BatchJob& job) {
  if (job.sweeper_hash.empty()) {
    return {};
  }
  return {
      .program = fmt::format("readonly SWEEPER=\"$SWEEP/.sweep/frozen/{}/xtasc-sweep\"\n", job.sweeper_hash),
      .question =
          R"sh(  if ! until_epoch="$("$SWEEPER" rung "$SWEEP" "$1")"; then # halted, or not all others are at the rung
    end_run "$1" "$STOPPED" "${until_epoch:-xtasc-sweep rung failed}"
    return 1
  fi
)sh",
      .end = R"sh(  elif (($2 == 0)); then # the job that goes on from the rung waits for this one's end
    end_run "$1" "$STOPPED" "paused at a rung of [stop]"
)sh"};
}

}  // namespace

std::int64_t num_elements(std::int64_t num_runs, const Site& site) {
  return (num_runs + site.runs_per_gpu - 1) / site.runs_per_gpu;
}

std::string job_name(const BatchJob& job) {
  return fmt::format("{}-{}", job.sweep, job.token);
}

std::string job_comment(std::string_view token) {
  return fmt::format("xtasc:{}", token);
}

std::string batch_script(std::string_view form, const Site& site, const BatchJob& job) {
  const std::int64_t elements = num_elements(job.num_runs, site);
  const RungParts rungs = rung_parts(job);
  std::map<std::string, std::string, std::less<>> values = {
      {"SWEEP", job.sweep},
      {"NUM_RUNS", fmt::format("{} run{} in {} element{}", job.num_runs, job.num_runs == 1 ? "" : "s", elements,
                               elements == 1 ? "" : "s")},
      {"DIRECTIVES", directives(site, job)},
      {"FOLDER", shell_word(job.folder.string())},
      {"TOKEN", job.token},
      {"TRAINER_HASH", job.trainer_hash},
      {"RUNS_PER_ELEMENT", fmt::format("{}", site.runs_per_gpu)},
      {"MAX_FRUITLESS", fmt::format("{}", site.max_fruitless_starts)},
      {"ENVIRONMENT", environment(site)},
      {"SHARING", sharing(site)},
      {"LAUNCH", launch_command(site)},
      {"TRAINER_OPTIONS", trainer_options(site, job)},
      {"SWEEPER", rungs.program},
      {"ASK_RUNG", rungs.question},
      {"AT_RUNG", rungs.end},
      {"ON_WARNING", site.launcher == Launcher::mpirun ? "kill -USR2 \"${pids[@]}\"" : ":"}};
  std::string text;
  std::map<std::string, int> used;
  while (true) {
    const auto begin = form.find('@');
    const auto end = form.find('@', begin + 1);
    if (begin == std::string_view::npos || end == std::string_view::npos) {
      break;
    }
    const std::string_view name = form.substr(begin + 1, end - begin - 1);
    const auto value = values.find(name);
    if (value != values.end()) {
      text += form.substr(0, begin);
      text += value->second;
      ++used[value->first];
      form.remove_prefix(end + 1);
    } else {  // bash has uses for @ too
      const bool is_a_place = !name.empty() && std::all_of(name.begin(), name.end(),
                                                           [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
      check(!is_a_place, "the form of the batch script has @{}@, which is not known", name);
      text += form.substr(0, end);
      form.remove_prefix(end);
    }
  }
  text += form;
  for (const auto& [name, value] : values) {
    check(used.contains(name) || value.empty(), "the form of the batch script lacks @{}@", name);
  }
  return text;
}

}  // namespace xtasc::sweep
