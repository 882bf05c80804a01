#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

// Whose work a run uses, from results/references.toml.
namespace xtasc::cite {

/// One entry of a bibliography.
struct Reference {
  std::string key;                   ///< "kendall2018"
  std::string type;                  ///< "article", "inproceedings" or "misc"
  std::string title;                 ///< as printed
  std::vector<std::string> authors;  ///< "Kendall, Alex"
  int year = 0;
  /// What else there is, by BibTeX's names: booktitle, journal, volume, number, pages, url; and arxiv.
  std::map<std::string, std::string> fields;
  std::vector<std::string> of;  ///< what needs it: "weighting uncertainty", "system xtasc", "data nyuv2", ...
};

/// The table, as it was when the program was built.
struct Bibliography {
  std::vector<Reference> references;
  std::map<std::string, std::string> none;  ///< what needs no entry, and why: "weighting equal"

  /// What a subject needs, in the table's order. Empty for one that needs none, and for one that is not known.
  [[nodiscard]] std::vector<const Reference*> of(std::string_view subject) const;
  [[nodiscard]] bool knows(std::string_view subject) const;
};

[[nodiscard]] const Bibliography& bibliography();

}  // namespace xtasc::cite
