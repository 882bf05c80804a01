#include "net/kd4mtl.hpp"

#include "config/systems.hpp"
#include "core/error.hpp"

namespace xtasc::net {

Mtan kd4mtl(const Choice& choice) {
  Mtan net = mtan(choice);
  for (const task::Task& task : choice.tasks) {
    Chain& adaptors = net.adaptors.emplace_back();
    for (const auto& [channels, shrunk] : {std::pair{kSegNetChannels[4], 32}, {kSegNetChannels[0], 1}}) {
      adaptors.push_back({.name = fmt::format("adaptor_{}.conv{}", task.key, adaptors.size() + 1),
                          .in = channels,
                          .out = channels,
                          .kernel = 1,
                          .has_bias = false,
                          .init = Init::fan_in_uniform,
                          .part = Part::transfer_nets,
                          .shrunk = shrunk});
    }
  }
  return net;
}

Chain kd4mtl_convolutions(const Choice& choice) {
  return convolutions_of(kd4mtl(choice));
}

std::vector<config::ModelSection> teachers_of(const config::ModelSection& section) {
  std::vector<config::ModelSection> teachers;
  const config::System& system = config::system_of(section);
  if (system.uses("distillation.")) {
    for (const task::Task& task : config::tasks_of(system)) {
      config::ModelSection& teacher = teachers.emplace_back();
      teacher.system = "stan";
      teacher.tasks = {std::string(task.name)};
    }
  }
  return teachers;
}

}  // namespace xtasc::net
