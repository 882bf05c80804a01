#include "page/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "core/utc_time.hpp"
#include "core/version.hpp"
#include "page/json_parts.hpp"

namespace xtasc::page {

namespace {

using json_fields::Json;

constexpr std::string_view kForm =
#include "page.html.inc"
    ;

/// In the order of the page; scripts share one scope.
constexpr std::array<std::string_view, 2> kStyles = {
#include "page.css.inc"
    ,
#include "parts.css.inc"
};
constexpr std::array<std::string_view, 5> kScripts = {
#include "dom.js.inc"
    ,
#include "table.js.inc"
    ,
#include "curves.js.inc"
    ,
#include "runs.js.inc"
    ,
#include "page.js.inc"
};

Json panels_json(const Page& page) {
  Json all = Json::array();
  for (const PagePanels& panels : page.panels) {
    Json maps = Json::array();
    for (const PagePanels::Map& map : panels.maps) {
      maps.push_back({{"title", map.title}, {"scale", map.scale}, {"truth", map.truth}, {"predicted", map.predicted}});
    }
    Json classes = Json::array();
    for (const PagePanels::Class& of : panels.classes) {
      classes.push_back({{"name", of.name}, {"color", of.color}});
    }
    all.push_back({{"data", data_key(page.runs.at(panels.runs.front()).provenance)},
                   {"runs", panels.runs},
                   {"samples", panels.samples},
                   {"images", panels.images},
                   {"maps", std::move(maps)},
                   {"classes", std::move(classes)},
                   {"height", panels.height},
                   {"width", panels.width}});
  }
  return all;
}

Json left_out_json(const Page& page) {
  Json all = Json::array();
  for (const run::LeftOutRun& run : page.left_out) {
    all.push_back({{"folder", run.folder.string()}, {"reason", run.reason}});
  }
  return all;
}

/// JSON that stands in an element of HTML: nothing in it can be taken for the element's end.
std::string escaped(const Json& data) {
  const std::string json = data.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string text;
  text.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

std::string joined(std::span<const std::string_view> parts) {
  return fmt::format("{}", fmt::join(parts, ""));
}

}  // namespace

std::string to_html(const Page& page) {
  const Json data = {{"title", page.title},         {"summary", page.summary},        {"made", utc_now()},
                     {"version", version_text()},   {"reload", page.reload_seconds},  {"tables", tables_json(page)},
                     {"curves", curves_json(page)}, {"configs", runs_json(page)},     {"panels", panels_json(page)},
                     {"warnings", page.warnings},   {"left_out", left_out_json(page)}};
  std::string text;
  std::string_view form = kForm;
  for (const auto& [mark, part] : {std::pair(std::string_view("/* style */"), joined(kStyles)),
                                   {"{}", escaped(data)},
                                   {"// script", joined(kScripts)}}) {
    const std::size_t at = form.find(mark);
    text += form.substr(0, at);
    text += part;
    form.remove_prefix(at + mark.size());
  }
  text += form;
  return text;
}

}  // namespace xtasc::page
