#include "report/sheet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "report/latex_check.hpp"

namespace xtasc::report {

namespace {

using test::latex_faults;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

Cell of(double mean, double deviation) {
  return moments_cell(Moments{.mean = mean, .deviation = deviation, .count = 3}, 2);
}

Sheet column_of(std::vector<Cell> cells) {
  Sheet sheet{.label = "x",
              .title = "Title",
              .caption = "Caption.",
              .columns = {{.key = "a", .header = "A"}},
              .rows = {},
              .footnotes = {}};
  for (Cell& cell : cells) {
    sheet.rows.push_back({.cells = {std::move(cell)}});
  }
  return sheet;
}

/// The index of the row in bold, or -1.
int best_row(std::vector<Cell> cells, Better better = Better::higher) {
  Sheet sheet = column_of(std::move(cells));
  mark_best(sheet, 0, better);
  int best = -1;
  for (std::size_t i = 0; i < sheet.rows.size(); ++i) {
    if (sheet.rows[i].cells[0].is_best) {
      EXPECT_EQ(best, -1) << "one at most";
      best = static_cast<int>(i);
    }
  }
  return best;
}

TEST(Sheet, MarksTheBestOnlyOutsideTheDeviation) {
  EXPECT_EQ(best_row({of(1.0, 0.1), of(2.0, 0.1), of(1.5, 0.1)}), 1);
  EXPECT_EQ(best_row({of(1.0, 0.1), of(2.0, 0.1), of(1.5, 0.1)}, Better::lower), 0);
  EXPECT_EQ(best_row({of(1.0, 0.1), of(2.0, 0.3), of(1.5, 0.3)}), -1) << "the two best overlap";
  EXPECT_EQ(best_row({of(1.9, 2.0), of(2.0, 0.0)}), -1) << "also where only the other one spreads";
  EXPECT_EQ(best_row({of(1.0, 0.0), of(2.0, 0.0)}), 1);
  EXPECT_EQ(best_row({of(2.0, 0.0), of(2.0, 0.0)}), -1) << "a tie";
  EXPECT_EQ(best_row({of(1.0, 0.1), number_cell(2.0, 2)}), -1) << "one seed has no deviation";
  EXPECT_EQ(best_row({number_cell(1.0, 2), of(2.0, 0.1)}), -1);
  EXPECT_EQ(best_row({of(1.0, 0.1)}), -1) << "nothing to be better than";
  EXPECT_EQ(best_row({of(1.0, 0.1), of(2.0, 0.1), Cell{}}), 1) << "a missing row does not compete";
  EXPECT_EQ(best_row({Cell{}, Cell{}}), -1);
}

TEST(Sheet, CellsSayWhatWasMeasured) {
  EXPECT_EQ(moments_cell(Moments{.mean = 0.31234, .deviation = 0.0012, .count = 3}, 2, 100.0).text, "31.23 +- 0.12");
  EXPECT_EQ(number_cell(0.31234, 2, 100.0).text, "31.23");
  EXPECT_EQ(number_cell(-0.004, 2).text, "0.00");
  EXPECT_EQ(number_cell(-0.006, 2).text, "-0.01");
  EXPECT_EQ(number_cell(std::nullopt, 2).text, "-");
  EXPECT_FALSE(number_cell(std::nullopt, 2).value);
}

TEST(Sheet, CsvHoldsEveryColumnOfEverySheet) {
  Sheet first = column_of({of(1.25, 0.5), Cell{}});
  first.columns[0].has_deviation = true;
  first.rows[0].cells[0].footnotes.push_back(first.add_footnote("one, two"));
  first.rows[0].cells[0].footnotes.push_back(first.add_footnote("three"));
  EXPECT_EQ(first.add_footnote("three"), 1U) << "each text once";
  Sheet second = column_of({text_cell("b")});
  second.label = "y";
  second.columns[0] = {.key = "name", .header = "Name", .is_text = true};
  const std::vector<Sheet> sheets = {first, second};
  EXPECT_EQ(to_csv(sheets),
            "table,name,a,a_sd,note\n"
            "x,,1.25,0.5,\"one, two; three\"\n"
            "x,,,,\n"
            "y,b,,,\n");
}

TEST(Latex, EscapesWhateverANameHolds) {
  EXPECT_EQ(latex_text("a_b & 100 % #1 {x} ~ ^ \\ $5"),
            "a\\_b \\& 100 \\% \\#1 \\{x\\} \\textasciitilde{} \\textasciicircum{} \\textbackslash{} \\$5");
  EXPECT_EQ(latex_text("Delta_m of lambda_1 < 0.5 +- 0.1"), "$\\Delta_m$ of $\\lambda_1$ $<$ 0.5 $\\pm$ 0.1");
  EXPECT_EQ(latex_text("`xtasc-sweep run --jobs a_b`"), "\\texttt{xtasc{-}sweep run {-}{-}jobs a\\_b}");
  EXPECT_EQ(latex_text("a ` alone"), "a ` alone");
  EXPECT_EQ(latex_text("against \"Base ST-Net\""), "against ``Base ST-Net''");
}

TEST(Latex, SymbolsAreWholeWords) {
  EXPECT_EQ(latex_text("#P (1e7)"), "\\#P ($10^7$)");
  EXPECT_EQ(latex_text("288 x 384"), "288 $\\times$ 384");
  for (const char* word : {"pack 31e7abab", "31e7", "a x b", "alambda", "x 3"}) {
    EXPECT_EQ(latex_text(word), word);
  }
  EXPECT_EQ(latex_text("my_lambda_1b"), "my\\_lambda\\_1b");
}

TEST(Latex, LabelsAreDefinedOnce) {
  const Sheet sheet{.label = "a", .title = "T", .caption = "C", .columns = {}, .rows = {}, .footnotes = {}};
  const std::string text = to_latex(std::vector<Sheet>{sheet, sheet});
  EXPECT_THAT(text, AllOf(HasSubstr("\\label{tab:a}"), HasSubstr("\\label{tab:a-2}")));
}

TEST(Latex, ARowMayBeginWithABracket) {
  const std::vector<Sheet> sheets = {{.label = "a",
                                      .title = "T",
                                      .caption = "C",
                                      .columns = {{.key = "row", .header = "Row", .is_text = true}},
                                      .rows = {{.cells = {text_cell("[4, 8, 16]")}}, {.cells = {text_cell("* a")}}},
                                      .footnotes = {}}};
  const std::string text = to_latex(sheets);
  EXPECT_THAT(text, HasSubstr("\\midrule\n{}[4, 8, 16] \\\\\n{}* a \\\\\n"));
}

TEST(Latex, MergesTheHeadersAndKeepsEveryRowWhole) {
  Sheet sheet{.label = "III",
              .title = "Models & more",
              .caption = "100 % of them.",
              .columns = {{.key = "model", .header = "Model", .is_text = true},
                          {.key = "a", .header = "a", .levels = {"Group", "mIoU", "paper"}},
                          {.key = "b", .header = "b", .levels = {"Group", "mIoU", "ours"}},
                          {.key = "c", .header = "c", .levels = {"Group", "Other", "ours"}},
                          {.key = "d", .header = "#P", .levels = {"#P", "ours"}}},
              .rows = {{.cells = {text_cell("A_1"), of(-1.5, 0.5), of(2.0, 0.25), Cell{}, number_cell(-1.0, 0)}},
                       {.cells = {text_cell("B"), Cell{}, Cell{}, Cell{}, Cell{}}, .starts_block = true}},
              .footnotes = {"A note with 5 %"},
              .remarks = {"Missing: `a-b_c`"}};
  sheet.rows[0].cells[2].is_best = true;
  sheet.rows[0].cells[2].footnotes = {0};
  const std::vector<Sheet> sheets = {sheet};
  const std::string text = to_latex(sheets);
  EXPECT_THAT(latex_faults(text), IsEmpty()) << text;
  EXPECT_THAT(text, HasSubstr("\\begin{tabular}{@{}lrrrr@{}}\n\\toprule\n"
                              " & \\multicolumn{3}{c}{Group} &  \\\\\n"
                              "\\cmidrule(lr){2-4}\n"
                              " & \\multicolumn{2}{c}{mIoU} & \\multicolumn{1}{c}{Other} & "
                              "\\multicolumn{1}{c}{\\#P} \\\\\n"
                              "\\cmidrule(lr){2-3}\\cmidrule(lr){4-4}\\cmidrule(lr){5-5}\n"
                              "Model & paper & ours & ours & ours \\\\\n\\midrule\n"));
  EXPECT_THAT(text, HasSubstr("A\\_1 & $-$1.50{\\tiny\\,$\\pm$\\,0.50} & "
                              "\\textbf{2.00}{\\tiny\\,$\\pm$\\,0.25}$^{1}$ & -- & $-$1 \\\\\n"
                              "\\midrule\nB & -- & -- & -- & -- \\\\\n\\bottomrule\n"));
  EXPECT_THAT(text, HasSubstr("$^{1}$ A note with 5 \\%.\\par\nMissing: \\texttt{a{-}b\\_c}.\\par\n"));
}

TEST(Latex, TheCheckItselfFindsFaults) {
  const std::string good = "\\begin{tabular}{@{}lr@{}}\na & \\textbf{b} \\\\\n\\end{tabular}\n";
  EXPECT_THAT(latex_faults(good), IsEmpty());
  EXPECT_THAT(latex_faults("\\begin{tabular}{@{}lr@{}}\na \\\\\n\\end{tabular}\n"), SizeIs(1));
  EXPECT_THAT(latex_faults("a_b\n"), SizeIs(1));
  EXPECT_THAT(latex_faults("50 %\n"), SizeIs(1));
  EXPECT_THAT(latex_faults("{\n"), SizeIs(1));
  EXPECT_THAT(latex_faults("$x\n"), SizeIs(1));
  EXPECT_THAT(latex_faults("\\begin{table}\n"), SizeIs(1));
  EXPECT_THAT(latex_faults("\\end{table}\n"), SizeIs(1));
}

TEST(SheetMarkdown, ShowsBoldAndFootnotes) {
  Sheet sheet = column_of({of(1.0, 0.1), of(2.0, 0.1)});
  mark_best(sheet, 0, Better::higher);
  sheet.rows[0].cells[0].footnotes.push_back(sheet.add_footnote("A note"));
  sheet.remarks.push_back("A remark");
  const std::vector<Sheet> sheets = {sheet};
  const std::string text = to_markdown("", sheets, {});
  EXPECT_THAT(text, HasSubstr("| 1.00 +- 0.10 [1] |\n| **2.00 +- 0.10** |\n"));
  EXPECT_THAT(text, HasSubstr("\n- [1] A note.\n\n- A remark.\n"));
  EXPECT_THAT(text, Not(HasSubstr("# \n")));
}

}  // namespace

}  // namespace xtasc::report
