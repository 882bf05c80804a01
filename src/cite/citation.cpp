#include "cite/citation.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "cite/references.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

namespace xtasc::cite {

namespace {

constexpr const char* kTitle = "XTasC: cross-task consistency learning on many GPUs";
constexpr const char* kMaintainers = "The XTasC maintainers";

/// Of this software: "0.1.0, git revision 1a2b, with uncommitted changes (SHA-1 of them 3c4d)".
std::string version_of(const run::Provenance& from) {
  return fmt::format(
      "{}{}{}", from.version, from.commit.empty() ? "" : ", git revision " + from.commit,
      from.diff_hash.empty() ? "" : fmt::format(", with uncommitted changes (SHA-1 of them {})", from.diff_hash));
}

std::string field_line(std::string_view name, std::string_view value) {
  return fmt::format("  {:<13} = {{{}}},\n", name, value);
}

/// Titles keep their capitals.
std::string entry_of(const Reference& reference) {
  std::string text = fmt::format("@{}{{{},\n", reference.type, reference.key);
  text += field_line("title", fmt::format("{{{}}}", reference.title));
  text += field_line("author", fmt::format("{}", fmt::join(reference.authors, " and ")));
  for (const auto& [name, value] : reference.fields) {
    if (name != "arxiv") {
      text += field_line(name, value);
    }
  }
  text += field_line("year", fmt::format("{}", reference.year));
  if (const auto arxiv = reference.fields.find("arxiv"); arxiv != reference.fields.end()) {
    text += field_line("eprint", arxiv->second) + field_line("archiveprefix", "arXiv");
  }
  return text + "}\n";
}

std::string software_entry(const std::string& version, std::size_t number) {
  return fmt::format("@misc{{xtasc{},\n", number == 0 ? "" : fmt::format("-{}", number + 1)) +
         field_line("title", fmt::format("{{{}}}", kTitle)) +
         field_line("author", fmt::format("{{{}}}", kMaintainers)) + field_line("note", "Version " + version) + "}\n";
}

/// "all 12 runs", or the names of some.
std::string runs_text(const std::vector<std::string>& names, std::size_t num_runs) {
  return names.size() == num_runs ? (num_runs == 1 ? names.front() : fmt::format("all {} runs", num_runs))
                                  : fmt::format("{}", fmt::join(names, ", "));
}

/// Texts and those that they are of, in the order in which they first came.
using Uses = std::vector<std::pair<std::string, std::vector<std::string>>>;

void add_use(Uses& uses, const std::string& of, const std::string& run) {
  const auto found = std::ranges::find(uses, of, &Uses::value_type::first);
  if (found == uses.end()) {
    uses.push_back({of, {run}});
  } else {
    found->second.push_back(run);
  }
}

/// YAML takes JSON's texts.
std::string quoted(const std::string& text) {
  return json_fields::Json(text).dump(-1, ' ', false, json_fields::Json::error_handler_t::replace);
}

std::string cff_reference(const Reference& reference) {
  const bool is_paper = reference.type == "inproceedings";
  std::string text = fmt::format("  - type: {}\n    title: {}\n    authors:\n",
                                 is_paper                      ? "conference-paper"
                                 : reference.type == "article" ? "article"
                                                               : "generic",
                                 quoted(reference.title));
  for (const std::string& author : reference.authors) {
    const std::size_t comma = author.find(", ");
    text += fmt::format("      - family-names: {}\n        given-names: {}\n", quoted(author.substr(0, comma)),
                        quoted(author.substr(comma + 2)));
  }
  const std::map<std::string, std::string> names = {{"booktitle", "collection-title"},
                                                    {"journal", "journal"},
                                                    {"volume", "volume"},
                                                    {"number", "issue"},
                                                    {"url", "url"}};
  for (const auto& [name, value] : reference.fields) {
    if (const auto of_cff = names.find(name); of_cff != names.end()) {
      text += fmt::format("    {}: {}\n", of_cff->second, quoted(value));
    }
  }
  text += fmt::format("    year: {}\n", reference.year);
  if (const auto arxiv = reference.fields.find("arxiv"); arxiv != reference.fields.end()) {
    text += fmt::format("    identifiers:\n      - type: other\n        value: {}\n", quoted("arXiv:" + arxiv->second));
  }
  return text;
}

}  // namespace

std::vector<std::string> subjects_of(const config::RunConfig& config, const run::Provenance& provenance) {
  const config::System& system = config::system_of(config.model);
  std::vector<std::string> subjects = {"software xtasc", fmt::format("system {}", system.word)};
  if (system.uses("model.encoder")) {
    subjects.emplace_back("encoder resnet");
  }
  if (system.has_weights()) {
    subjects.push_back(fmt::format("weighting {}", config.weighting.method));
    if (config.weighting.losses == config::CombinedLosses::uncertainty) {
      subjects.emplace_back("weighting uncertainty");
    }
  }
  subjects.push_back(fmt::format("data {}", provenance.pack_dataset));
  subjects.push_back(fmt::format("optimizer {}", config::name(config.train.optimizer)));
  subjects.emplace_back("software torch");
  if (provenance.world_size > 1) {
    subjects.emplace_back("software mpi");
  }
  return subjects;
}

std::string bibtex(std::span<const CitedRun> runs) {
  const Bibliography& all = bibliography();
  Uses versions, subjects;
  for (const CitedRun& run : runs) {
    add_use(versions, version_of(*run.provenance), run.name);
    for (const std::string& subject : subjects_of(*run.config, *run.provenance)) {
      add_use(subjects, subject, run.name);
    }
  }
  // An entry for several subjects stands where the first of them is used, and tells them all.
  std::vector<std::pair<const Reference*, std::vector<std::string>>> entries;
  std::string unknown;
  for (const auto& [subject, of] : subjects) {
    const std::string use = fmt::format("{}: {}", subject, runs_text(of, runs.size()));
    for (const Reference* reference : all.of(subject)) {
      const auto found = std::ranges::find(entries, reference, &decltype(entries)::value_type::first);
      (found == entries.end() ? entries.emplace_back(reference, std::vector<std::string>{}) : *found)
          .second.push_back(use);
    }
    if (!all.knows(subject)) {
      unknown += fmt::format("\n% {}: no entry is known for it\n", use);
    }
  }
  std::string text;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    text += fmt::format("{}% this software: {}\n{}", i == 0 ? "" : "\n", runs_text(versions[i].second, runs.size()),
                        software_entry(versions[i].first, i));
  }
  for (const auto& [reference, uses] : entries) {
    text += fmt::format("\n% {}\n{}", fmt::join(uses, "; "), entry_of(*reference));
  }
  return text + unknown;
}

std::string citation_cff(const config::RunConfig& config, const run::Provenance& provenance) {
  std::string text = fmt::format(
      "cff-version: 1.2.0\nmessage: {}\ntitle: {}\ntype: software\nversion: {}\n",
      quoted("The software and the work that this run uses; xtasc-tabulate --bibtex prints them as BibTeX."),
      quoted(kTitle), quoted(provenance.version));
  text += provenance.commit.empty() ? "" : fmt::format("commit: {}\n", quoted(provenance.commit));
  text += fmt::format("license: Apache-2.0\nauthors:\n  - name: {}\nreferences:\n", quoted(kMaintainers));
  std::vector<const Reference*> shown;
  for (const std::string& subject : subjects_of(config, provenance)) {
    for (const Reference* reference : bibliography().of(subject)) {
      if (std::ranges::find(shown, reference) == shown.end()) {
        shown.push_back(reference);
        text += cff_reference(*reference);
      }
    }
  }
  return text;
}

}  // namespace xtasc::cite
