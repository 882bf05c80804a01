#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace xtasc::preprocess {

// What NYU Depth v2's users share beside nyu_depth_v2_labeled.mat, as numbers. tests/preprocess/nyuv2_test.cpp holds
// each table to the SHA-256 of its numbers in decimal, with a space between and a newline behind.

inline constexpr std::size_t kNyuv2Frames = 1449;
inline constexpr std::size_t kNyuv2Labels = 894;
inline constexpr std::size_t kNyuv2Classes40 = 40;
inline constexpr std::size_t kNyuv2Classes13 = 13;

/// Class 1 .. 40 of label 1 + i: `mapClass` of classMapping40.mat.
///
/// Source: Gupta, Arbelaez and Malik, CVPR 2013, https://people.eecs.berkeley.edu/~sgupta/cvpr13/; the file's SHA-256
/// is ff177194cce9a2163517f1e1e6f1c64c50987162f542dedddc04bbf6ebe6d851, the numbers'
/// 242dbf0c50670832f2b3db789f6acd18892bd25707d8ab05f02119d1bf79efc0.
extern const std::array<std::uint8_t, kNyuv2Labels> kNyuv2Class40;

/// Class 1 .. 13 of class 1 + i of 40: `classMapping13.labels13` of class13Mapping.mat.
///
/// Source: Handa et al., "SceneNet", 2015, https://github.com/ankurhanda/nyuv2-meta-data; the file's SHA-256 is
/// 4e79ab24c345896c19abc62476b2c3520f3e2db00f71f868c5027208af48a3de, the numbers'
/// 61cf5ad0923904519fdb2cac5006c1e6fb49cf95cafb5d0c5342eff2329d5f53.
extern const std::array<std::uint8_t, kNyuv2Classes40> kNyuv2Class13;

/// The 654 frames of the official split's test part, 1-based, ascending: `testNdxs` of splits.mat. The other 795 are
/// `trainNdxs`, ascending too.
///
/// Source: Silberman et al., ECCV 2012, https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html (splits.mat); the
/// numbers' SHA-256 is 87ae630d3eb8d6081a9bec8e6d807e919e19d4a5b5952887e03fe3624c058c3f.
extern const std::array<std::uint16_t, 654> kNyuv2TestFrames;

}  // namespace xtasc::preprocess
