#include "core/text_table.hpp"

#include <gtest/gtest.h>

namespace xtasc {
namespace {

TEST(TextTable, ColumnsAreAsWideAsTheirLongestCell) {
  EXPECT_EQ(text_table({{"run", "state"}, {"a long name", ""}, {"b", "done", "more"}}),
            "run          state\na long name\nb            done   more\n");
  EXPECT_EQ(text_table({{"loss", "value"}, {"total", "1.5"}, {"seg", "10.25"}}, 1),
            "loss   value\ntotal    1.5\nseg    10.25\n");
  EXPECT_EQ(text_table({}), "");
}

TEST(Markdown, PadsAndEscapes) {
  EXPECT_EQ(markdown_table({{"Name", "x"}, {"a|b", "1.5"}}, 1),
            "| Name |   x |\n"
            "| :--- | --: |\n"
            "| a\\|b | 1.5 |\n");
}

}  // namespace
}  // namespace xtasc
