#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace xtasc::report {

/// A change, painted by its size, and what stands in the cell; without one the cell is white.
struct MatrixCell {
  std::optional<double> value;
  std::string text = "-";  ///< lines
};

/// A number for each two of some things, in colours: the better than 0 the bluer, the worse the more orange, 0
/// white. Grey where row and column are the same thing.
struct Matrix {
  std::string title, subtitle;
  std::string row_label, column_label, scale_label;
  bool lower_is_better = false;
  std::vector<std::string> names;              ///< of the rows, from above, and of the columns
  std::vector<std::vector<MatrixCell>> cells;  ///< row by row, as many as names by as many
};

/// A gnuplot script with the data in it, which writes NAME.svg and NAME.png into the folder that it is run in.
[[nodiscard]] std::string gnuplot_script(const Matrix& matrix, const std::string& name);

/// As draw() of a Plot.
void draw(const Matrix& matrix, const std::filesystem::path& prefix);

}  // namespace xtasc::report
