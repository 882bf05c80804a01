#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/program_watch.hpp"

namespace xtasc::launch {

/// A picture that a user named.
struct Picture {
  std::filesystem::path path;
  std::filesystem::path name;  ///< of its results, relative to the output folder: the file's without its extension
};

/// The pictures that the words of a command line mean, each once: a file; a pattern with * ? or [ ], as glob(7) has it;
/// a folder, of which all PNG and JPEG files are taken, those of its folders too, but no hidden ones. What a folder or
/// a pattern means is ordered by name, runs of digits as numbers: frame_2 before frame_10.
///
/// A picture of a folder is called by its path there, another one by its file. Where that gives two the same name, all
/// are called by their paths below the deepest folder that holds them all.
///
/// \param output  in which, below a named folder, no pictures are looked for
/// \throws Error  (exit code 2) naming the word that means no picture, or two pictures that would have the same results
[[nodiscard]] std::vector<Picture> find_pictures(const std::vector<std::string>& words,
                                                 const std::filesystem::path& output);

/// What the first bytes of each file say against it: that it is missing, no picture, or too large. Nothing is decoded.
/// \returns  a line for each picture; an empty one: nothing
[[nodiscard]] std::vector<std::string> faults_of_headers(const std::vector<Picture>& pictures, std::size_t num_threads,
                                                         ProgramWatch& watch);

}  // namespace xtasc::launch
