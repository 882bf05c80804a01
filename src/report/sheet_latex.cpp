#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <utility>

#include "core/error.hpp"
#include "report/sheet.hpp"

namespace xtasc::report {

namespace {

using Replacement = std::pair<std::string_view, std::string_view>;

/// Words that are symbols in print, where nothing stands beside them that belongs to the same word.
constexpr std::array<Replacement, 7> kSymbols = {{{"Delta_m", "$\\Delta_m$"},
                                                  {"lambda_1", "$\\lambda_1$"},
                                                  {"lambda_2", "$\\lambda_2$"},
                                                  {"lambda_3", "$\\lambda_3$"},
                                                  {" +- ", " $\\pm$ "},
                                                  {"(1e7)", "($10^7$)"},
                                                  {" x ", " $\\times$ "}}};

/// Characters that mean something to LaTeX.
constexpr std::array<Replacement, 15> kReplacements = {{{"\\", "\\textbackslash{}"},
                                                        {"&", "\\&"},
                                                        {"%", "\\%"},
                                                        {"$", "\\$"},
                                                        {"#", "\\#"},
                                                        {"_", "\\_"},
                                                        {"{", "\\{"},
                                                        {"}", "\\}"},
                                                        {"~", "\\textasciitilde{}"},
                                                        {"^", "\\textasciicircum{}"},
                                                        {"<", "$<$"},
                                                        {">", "$>$"},
                                                        {"|", "$|$"},
                                                        {"\n", " "},
                                                        {"\r", " "}}};

/// The symbol that begins at `at`; null when there is none. " x " is one between numbers only.
const Replacement* symbol_at(std::string_view text, std::size_t at) {
  const auto is_of_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  const auto found = std::ranges::find_if(
      kSymbols, [&](const Replacement& symbol) { return text.substr(at).starts_with(symbol.first); });
  if (found == kSymbols.end()) {
    return nullptr;
  }
  const std::size_t end = at + found->first.size();
  const char before = at == 0 ? ' ' : text[at - 1];
  const char after = end == text.size() ? ' ' : text[end];
  const bool is_times = found->first == " x ";
  const bool stands_alone = is_times                           ? is_digit(before) && is_digit(after)
                            : is_of_word(found->first.front()) ? !is_of_word(before) && !is_of_word(after)
                                                               : true;
  return stands_alone ? &*found : nullptr;
}

/// `code`: character by character, so that no word in it becomes a symbol.
std::string latex_code(std::string_view text) {
  std::string result = "\\texttt{";
  for (const char c : text) {
    result += c == '-'   ? "{-}"         // "--" would become a dash
              : c == '"' ? "\\char34{}"  // a straight one, to be copied
                         : latex_text(std::string_view(&c, 1));
  }
  return result + "}";
}

/// A number as text, its minus sign a minus; the mean alone in bold, the deviation small.
std::string latex_number(const Cell& cell) {
  constexpr std::string_view kPlusMinus = " +- ";
  const std::size_t end = std::min(cell.text.find(kPlusMinus), cell.text.size());
  std::string mean = latex_text(std::string_view(cell.text).substr(0, end));
  if (mean.size() > 1 && mean.front() == '-') {
    mean = fmt::format("$-${}", mean.substr(1));
  }
  mean = cell.is_best ? fmt::format("\\textbf{{{}}}", mean) : mean;
  return end == cell.text.size()
             ? mean
             : fmt::format("{}{{\\tiny\\,$\\pm$\\,{}}}", mean, cell.text.substr(end + kPlusMinus.size()));
}

/// \param is_first  of its row: what begins with [ or * would be taken for an option of the line break before it
std::string latex_cell(const Cell& cell, bool is_first) {
  std::string text = cell.text == "-" ? "--" : cell.value ? latex_number(cell) : latex_text(cell.text);
  std::string marks;
  for (const std::size_t footnote : cell.footnotes) {
    marks += fmt::format("{}{}", marks.empty() ? "" : ",", footnote + 1);
  }
  const bool looks_like_option = is_first && (text.starts_with('[') || text.starts_with('*'));
  return fmt::format("{}{}{}", looks_like_option ? "{}" : "", text,
                     marks.empty() ? "" : fmt::format("$^{{{}}}$", marks));
}

/// The header of a column from the top row down, filled up with blanks above.
std::vector<std::string> header_levels(const Column& column, std::size_t num_levels) {
  std::vector<std::string> levels = column.levels.empty() ? std::vector{column.header} : column.levels;
  levels.insert(levels.begin(), num_levels - levels.size(), "");
  return levels;
}

// A table in \scriptsize, in points.
constexpr double kPageWidth = 512.0;   // 180 mm
constexpr double kScriptLetter = 3.9;  // about that of a digit; those of a deviation are \tiny
constexpr double kTinyLetter = 2.8;

/// As wide as a page at most.
bool is_wide(const Sheet& sheet) {
  return sheet.columns.size() > 11;
}

/// Half of the space between two columns.
double column_gap(const Sheet& sheet) {
  return sheet.columns.size() > 13 ? 1.5 : is_wide(sheet) ? 2.0 : 4.0;
}

/// Where a header is broken in two lines: before its unit, or else at its last space; npos: nowhere.
std::size_t break_of(std::string_view header) {
  const std::size_t unit = header.find(" (");
  return unit == std::string_view::npos ? header.rfind(' ') : unit;
}

/// About how wide the table is. \param is_stacked  whether headers are broken
double width_of(const Sheet& sheet, bool is_stacked) {
  double width = 0.0;
  for (std::size_t i = 0; i < sheet.columns.size(); ++i) {
    const Column& column = sheet.columns[i];
    const std::string& header = column.levels.empty() ? column.header : column.levels.back();
    const std::size_t at = is_stacked ? break_of(header) : std::string::npos;
    const std::size_t letters = at == std::string::npos ? header.size() : std::max(at, header.size() - at - 1);
    double of_column = kScriptLetter * static_cast<double>(letters);
    for (const SheetRow& row : sheet.rows) {
      const Cell& cell = row.cells[i];
      const std::size_t end = cell.deviation ? std::min(cell.text.find(" +- "), cell.text.size()) : cell.text.size();
      of_column = std::max(of_column, kScriptLetter * static_cast<double>(end) +
                                          kTinyLetter * static_cast<double>(cell.text.size() - end));
    }
    width += of_column + 2.0 * column_gap(sheet);
  }
  return width;
}

/// Whether it is wider than a page with broken headers, too.
bool needs_shrinking(const Sheet& sheet) {
  return width_of(sheet, true) > kPageWidth;
}

/// In two lines, where it can be broken.
std::string stacked(const Column& column) {
  const std::size_t at = break_of(column.header);
  return at == std::string::npos
             ? latex_text(column.header)
             : fmt::format("\\shortstack[{}]{{{}\\\\{}}}", column.is_text ? 'l' : 'r',
                           latex_text(column.header.substr(0, at)), latex_text(column.header.substr(at + 1)));
}

std::string header_lines(const Sheet& sheet, bool is_stacked) {
  std::size_t num_levels = 1;
  for (const Column& column : sheet.columns) {
    num_levels = std::max(num_levels, column.levels.size());
  }
  std::vector<std::vector<std::string>> headers;
  for (const Column& column : sheet.columns) {
    headers.push_back(header_levels(column, num_levels));
  }
  const auto same_up_to = [&headers](std::size_t a, std::size_t b, std::size_t level) {
    return std::equal(headers[a].begin(), headers[a].begin() + static_cast<std::ptrdiff_t>(level) + 1,
                      headers[b].begin());
  };
  std::string text;
  for (std::size_t level = 0; level < num_levels; ++level) {
    std::string line;
    std::string rules;
    for (std::size_t begin = 0, end = 0; begin < headers.size(); begin = end) {
      const std::string& header = headers[begin][level];
      for (end = begin + 1; end < headers.size() && !header.empty() && same_up_to(begin, end, level); ++end) {
      }
      const bool is_group = end > begin + 1 || (level + 1 < num_levels && !header.empty());
      line += begin == 0 ? "" : " & ";
      line += is_group ? fmt::format("\\multicolumn{{{}}}{{c}}{{{}}}", end - begin, latex_text(header))
              : is_stacked && sheet.columns[begin].levels.empty() ? stacked(sheet.columns[begin])
                                                                  : latex_text(header);
      rules += is_group ? fmt::format("\\cmidrule(lr){{{}-{}}}", begin + 1, end) : "";
    }
    text += line + " \\\\\n" + (rules.empty() ? "" : rules + "\n");
  }
  return text;
}

/// \param label  for \ref, without its "tab:"
std::string sheet_latex(const Sheet& sheet, const std::string& label) {
  const bool is_stacked = width_of(sheet, false) > kPageWidth;
  const bool is_shrunk = needs_shrinking(sheet);
  // LaTeX numbers its tables itself: "Table 1: The paper's Table III. ..."
  const char* whose = sheet.title.starts_with(fmt::format("Table {}. ", sheet.label)) ? "The paper's " : "";
  std::string text = fmt::format(
      "\\begin{{table*}}[t]\n\\centering\n\\setlength{{\\belowcaptionskip}}{{4pt}}\n\\caption{{{}}}\n\\label{{tab:{}}}"
      "\n\\{}\n"
      "\\setlength{{\\tabcolsep}}{{{}pt}}\n",
      latex_text(fmt::format("{}{}. {}", whose, sheet.title, sheet.caption)), label,
      is_wide(sheet) ? "scriptsize" : "footnotesize", column_gap(sheet));
  text += is_shrunk ? "\\begin{adjustbox}{max width=\\linewidth}\n" : "";
  text += "\\begin{tabular}{@{}";
  for (const Column& column : sheet.columns) {
    text += column.is_text ? 'l' : 'r';
  }
  text += fmt::format("@{{}}}}\n\\toprule\n{}\\midrule\n", header_lines(sheet, is_stacked));
  for (std::size_t i = 0; i < sheet.rows.size(); ++i) {
    text += sheet.rows[i].starts_block && i > 0 ? "\\midrule\n" : "";
    for (std::size_t column = 0; column < sheet.rows[i].cells.size(); ++column) {
      text += column == 0 ? "" : " & ";
      text += latex_cell(sheet.rows[i].cells[column], column == 0);
    }
    text += " \\\\\n";
  }
  text += "\\bottomrule\n\\end{tabular}\n";
  text += is_shrunk ? "\\end{adjustbox}\n" : "";
  if (!sheet.footnotes.empty() || !sheet.remarks.empty()) {
    text += "\\par\\smallskip\n\\begin{minipage}{\\linewidth}\\footnotesize\\raggedright\n";
    for (std::size_t i = 0; i < sheet.footnotes.size(); ++i) {
      text += fmt::format("$^{{{}}}$ {}.\\par\n", i + 1, latex_text(sheet.footnotes[i]));
    }
    for (const std::string& remark : sheet.remarks) {
      text += latex_text(remark) + ".\\par\n";
    }
    text += "\\end{minipage}\n";
  }
  return text + "\\end{table*}\n";
}

}  // namespace

std::string latex_text(std::string_view text) {
  std::string result;
  bool is_quoted = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text[at] == '`' ? text.find('`', at + 1) : std::string_view::npos;
    if (end != std::string_view::npos) {
      result += latex_code(text.substr(at + 1, end - at - 1));
      at = end + 1;
      continue;
    }
    if (const Replacement* symbol = symbol_at(text, at)) {
      result += symbol->second;
      at += symbol->first.size();
      continue;
    }
    const auto found = std::ranges::find_if(
        kReplacements, [&](const Replacement& replacement) { return text[at] == replacement.first.front(); });
    if (text[at] == '"') {
      is_quoted = !is_quoted;
      result += is_quoted ? "``" : "''";
    } else if (found != kReplacements.end()) {
      result += found->second;
    } else {
      result += text[at];
    }
    ++at;
  }
  return result;
}

std::string to_latex(std::span<const Sheet> sheets) {
  std::string text = fmt::format("% \\usepackage{{booktabs{}}} in the preamble, and \\input this file.\n",
                                 std::ranges::any_of(sheets, needs_shrinking) ? ",adjustbox" : "");
  std::map<std::string, int> num_seen;
  for (const Sheet& sheet : sheets) {
    const int number = ++num_seen[sheet.label];  // of both protocols, one label would be defined twice
    text += '\n';
    text += sheet_latex(sheet, number == 1 ? sheet.label : fmt::format("{}-{}", sheet.label, number));
  }
  return text;
}

}  // namespace xtasc::report
