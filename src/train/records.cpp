#include "train/records.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "cite/citation.hpp"
#include "core/log.hpp"
#include "core/utc_time.hpp"
#include "core/version.hpp"
#include "dist/communicator.hpp"
#include "gpu/gpu.hpp"
#include "io/atomic_file.hpp"
#include "run/pack_now.hpp"

namespace xtasc::train {

namespace {

void log_how_to_stop(const LaunchedAs& launched) {
  std::string parent;
  std::getline(std::ifstream(fmt::format("/proc/{}/comm", ::getppid())) >> std::ws, parent);
  if (launched.by_mpirun && (parent == "mpirun" || parent == "orterun" || parent == "mpiexec")) {
    log_info(
        "to stop it with a checkpoint: kill -USR2 {} (mpirun), or a file STOP in the run folder; mpirun gives Ctrl-C "
        "{}",
        ::getppid(), std::getenv("OMPI_MCA_odls_base_sigkill_timeout") == nullptr ? "two seconds" : "its time");
  }
}

}  // namespace

run::Provenance provenance_of(const dist::MpiSession& session, const config::RunConfig& config,
                              const pack::Reader& pack, const Learner& learner, at::Device device,
                              const dist::Communicator& communicator, const std::vector<std::string>& command_line) {
  const SourceVersion source = source_version();
  const pack::Schema& schema = pack.schema();
  run::Provenance provenance;
  provenance.version = source.version;
  provenance.commit = source.commit;
  provenance.diff_hash = source.diff_hash;
  provenance.build_type = source.build_type;
  provenance.compiler = source.compiler;
  provenance.libraries = library_versions(communicator);
  provenance.hosts = session.gather(dist::host_name());
  provenance.devices = session.gather(describe_device(device));
  provenance.world_size = session.size();
  provenance.precision = config::name(config.run.precision);
  provenance.pack_path = pack.path().string();
  provenance.pack_digest = schema.content_digest;
  const run::FileStamp stamp = run::stamp_of(pack.path());
  provenance.pack_bytes = stamp.bytes;
  provenance.pack_modified = stamp.modified;
  provenance.pack_dataset = schema.dataset;
  provenance.pack_height = schema.height;
  provenance.pack_width = schema.width;
  provenance.pack_num_classes = learner.net.num_classes();
  provenance.pack_depth_kind = pack::depth_kind_name(schema.depth_kind);
  provenance.pack_orientation = schema.orientation;
  provenance.pack_resize = schema.resize;
  provenance.command_line = command_line;
  provenance.started = utc_now();
  provenance.num_parameters = learner.net.parameters().num_parameters();
  return provenance;
}

void write_records(const run::RunFolder& folder, const config::RunConfig& config, const run::Provenance& provenance,
                   const Progress& progress) {
  run::Provenance written = provenance;
  run::Start start = run::start_of(provenance);
  start.epoch = progress.epoch;
  start.step = progress.step;
  if (progress.step > 0 && std::filesystem::exists(folder.provenance())) {
    written = run::read_provenance(folder.provenance());
    written.resumed.push_back(provenance.started);
    written.pack_bytes = provenance.pack_bytes;
    written.pack_modified = provenance.pack_modified;
  }
  written.starts.push_back(std::move(start));
  if (const std::string difference = run::difference_of_last_starts(written); !difference.empty()) {
    log_warning("this start is not like the one before: {}", difference);
  }
  io::write_file_atomically(folder.config(), config::to_toml(config, /*documented=*/false));
  run::write_provenance(folder.provenance(), written);
}

void mark_end(const run::RunFolder& folder, std::int64_t epoch, bool goes_on_later) {
  if (goes_on_later) {
    log_info("paused after epoch {}, as --until-epoch says; without it the same command goes on", epoch);
    return;
  }
  run::Provenance provenance = run::read_provenance(folder.provenance());
  provenance.finished = utc_now();
  run::write_provenance(folder.provenance(), provenance);
  io::write_file_atomically(folder.citation(),
                            cite::citation_cff(config::read_written_config(folder.config()), provenance));
  io::write_file_atomically(folder.done_marker(), provenance.finished + "\n");
}

void log_run(const config::RunConfig& config, const pack::Schema& schema, const data::Splits& data,
             const Learner& learner, const dist::MpiSession& session, const dist::Communicator& communicator,
             at::Device device) {
  log_info("{} {} on {}: {} train, {}{} val, {} x {}, {} classes; {} parameters; {} rank{} ({}), {}, {}",
           config.model.system, config::encoder_of(config.model), schema.dataset, data.train.size(),
           data.held_out ? fmt::format("{} held out, ", data.held_out->size()) : "", data.val.size(), data.val.height(),
           data.val.width(), learner.net.num_classes(), learner.net.parameters().num_parameters(), session.size(),
           session.size() == 1 ? "" : "s", communicator.backend(), config::name(config.run.precision),
           describe_device(device));
}

void log_ranks(const dist::MpiSession& session, at::Device device, const LaunchedAs& launched) {
  if (session.size() == 1) {
    return;  // the run's first line says it all
  }
  std::string text = describe_device(device);
  if (device.is_cuda()) {
    text += " at " + gpu::bus_id(device.index());
  }
  const auto hosts = session.gather(dist::host_name());
  const auto devices = session.gather(text);
  for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
    log_info("rank {} -> {} -> {}", rank, hosts[rank], devices[rank]);
  }
  log_how_to_stop(launched);
}

}  // namespace xtasc::train
