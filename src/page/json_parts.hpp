#pragma once

#include <string>

#include "core/json.hpp"
#include "page/page.hpp"

// The parts of the one block of data that a page's script reads.
namespace xtasc::page {

/// "scenes, 64 x 96, 7 classes, pack b550fabe32df": what stands together in one table.
[[nodiscard]] std::string data_key(const run::Provenance& from);

/// Panels of curves, and a curve a run and a group: {panels: [...], curves: [...], every: N}.
[[nodiscard]] json_fields::Json curves_json(const Page& page);

/// {common: {key: value}, runs: [{name, folder, state, data, config, facts, warnings}]}
[[nodiscard]] json_fields::Json runs_json(const Page& page);

/// [{place, protocol, data, title, caption, columns, rows, footnotes, remarks}]
[[nodiscard]] json_fields::Json tables_json(const Page& page);

}  // namespace xtasc::page
