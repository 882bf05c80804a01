#include "report/plot/matrix.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "report/plot/gnuplot_text.hpp"

namespace xtasc::report {

namespace {

// The picture in pixels; PNG has twice as many.
constexpr double kCellWidth = 128.0, kCellHeight = 88.0;
constexpr double kBeforeCells = 170.0, kBehindCells = 130.0;  // names of rows; colour scale
constexpr double kAboveCells = 132.0, kUnderCells = 28.0;     // titles and names of columns
constexpr double kLabelLine = 18.0;
constexpr double kLeastWidth = 860.0;  // of the subtitle

/// Orange, white, blue: Okabe and Ito's two that are light enough for black text, told apart by all common kinds of
/// colour vision: https://jfly.uni-koeln.de/color/
constexpr const char* kPalette = "-1 '#E69F00', 0 '#ffffff', 1 '#56B4E9'";
constexpr const char* kPaletteOfLower = "-1 '#56B4E9', 0 '#ffffff', 1 '#E69F00'";

/// The scale ends at the largest change, whatever its sign; at 1 where nothing changes.
double largest_change(const Matrix& matrix) {
  double most = 0.0;
  for (const std::vector<MatrixCell>& row : matrix.cells) {
    for (const MatrixCell& cell : row) {
      most = std::max(most, std::abs(cell.value.value_or(0.0)));
    }
  }
  return most > 0.0 ? most : 1.0;
}

/// Datablocks of the painted, the empty and the diagonal cells, as column, row and value; those that have no cell are
/// not plotted.
struct CellBlocks {
  std::string painted, empty, diagonal;

  explicit CellBlocks(const Matrix& matrix) {
    for (std::size_t row = 0; row < matrix.names.size(); ++row) {
      for (std::size_t column = 0; column < matrix.names.size(); ++column) {
        const std::optional<double>& value = matrix.cells[row][column].value;
        std::string& block = row == column ? diagonal : value ? painted : empty;
        block += fmt::format("{} {}{}\n", column, row, value ? fmt::format(" {}", *value) : "");
      }
    }
  }

  [[nodiscard]] std::string text() const {
    return fmt::format("# column, row, value\n$painted << EOD\n{}EOD\n$empty << EOD\n{}EOD\n$diagonal << EOD\n{}EOD\n",
                       painted, empty, diagonal);
  }

  [[nodiscard]] std::string plot_command() const {
    constexpr const char* kBox = "using ($1+0.5):($2+0.5):(0.49):(0.485)";
    std::vector<std::string> elements = {
        fmt::format("$diagonal {} with boxxyerror fs solid noborder fc rgb '#d9d9d9' notitle", kBox)};
    if (!empty.empty()) {
      elements.push_back(fmt::format("$empty {} with boxxyerror lc rgb '#bbbbbb' fs empty notitle", kBox));
    }
    if (!painted.empty()) {
      elements.push_back(fmt::format("$painted {}:3 with boxxyerror fs solid noborder fc palette notitle", kBox));
      elements.push_back(fmt::format("$painted {} with boxxyerror lc rgb '#bbbbbb' fs empty notitle", kBox));
    }
    return fmt::format("plot {}\n", fmt::join(elements, ", \\\n     "));
  }
};

std::string label(std::size_t index, const std::string& text, const std::string& place) {
  return fmt::format("set label {} {} at {} front\n", index, quoted_lines(text), place);
}

/// Names of rows and columns, and what stands in the cells.
std::string cell_labels(const Matrix& matrix) {
  std::size_t index = 10;
  std::string text;
  for (std::size_t row = 0; row < matrix.names.size(); ++row) {
    const double middle = static_cast<double>(row) + 0.5;
    text += label(index++, matrix.names[row], fmt::format("first -0.08,{} right", middle));
    text += label(index++, matrix.names[row], fmt::format("first {},-0.14 center", middle));
    for (std::size_t column = 0; column < matrix.names.size(); ++column) {
      const std::string& of_cell = matrix.cells[row][column].text;
      if (row != column) {
        const double up = 0.09 * static_cast<double>(std::ranges::count(of_cell, '\n'));
        text +=
            label(index++, of_cell, fmt::format("first {},{} center", static_cast<double>(column) + 0.5, middle - up));
      }
    }
  }
  return text;
}

}  // namespace

std::string gnuplot_script(const Matrix& matrix, const std::string& name) {
  const auto num = static_cast<double>(matrix.names.size());
  const double needed = kBeforeCells + kCellWidth * num + kBehindCells;
  const double width = std::max(needed, kLeastWidth);
  const double height = kAboveCells + kCellHeight * num + kUnderCells;
  const double left = kBeforeCells + (width - needed) / 2.0;
  const double right = left + kCellWidth * num;
  const CellBlocks blocks(matrix);
  std::string text = script_head(name) + blocks.text() + pictures_head(name, width, height);
  text += fmt::format(
      "set lmargin at screen {:.5f}; set rmargin at screen {:.5f}; set bmargin at screen {:.5f}; set tmargin at screen "
      "{:.5f}\n",
      left / width, right / width, kUnderCells / height, 1.0 - kAboveCells / height);
  text += fmt::format("unset key; unset border; unset tics\nset xrange [0:{}]; set yrange [{}:0]\n", num, num);
  text += fmt::format(
      "set palette defined ({})\nset cbrange [-{}:{}]\nset cbtics scale 0.5\nset colorbox user origin screen "
      "{:.5f},{:.5f} size screen {:.5f},{:.5f}\n",
      matrix.lower_is_better ? kPaletteOfLower : kPalette, largest_change(matrix), largest_change(matrix),
      (right + 44.0) / width, kUnderCells / height, 18.0 / width, kCellHeight * num / height);
  text += title_labels(matrix.title, matrix.subtitle, height);
  const auto lines_below_first = static_cast<double>(std::ranges::count(matrix.scale_label, '\n'));
  text += label(4, matrix.scale_label,
                fmt::format("screen {:.5f},{:.5f} center", (right + 53.0) / width,
                            1.0 - (kAboveCells - 14.0 - kLabelLine * lines_below_first) / height));
  text += label(5, matrix.row_label, "first -0.08,-0.14 right");
  text += label(6, matrix.column_label, "graph 0.5, first -0.42 center");
  return text + cell_labels(matrix) + blocks.plot_command() + std::string(kPicturesEnd);
}

}  // namespace xtasc::report
