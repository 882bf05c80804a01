#include "preprocess/datasets/cityscapes_classes.hpp"

#include <utility>

namespace xtasc::preprocess {

pack::LabelSet label_set_7(std::string name) {
  return {std::move(name),
          {"flat", "construction", "object", "nature", "sky", "human", "vehicle"},
          {{128, 64, 128}, {70, 70, 70}, {153, 153, 153}, {107, 142, 35}, {70, 130, 180}, {220, 20, 60}, {0, 0, 142}}};
}

pack::LabelSet label_set_19(std::string name) {
  return {std::move(name),
          {"road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
           "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"},
          {{128, 64, 128},
           {244, 35, 232},
           {70, 70, 70},
           {102, 102, 156},
           {190, 153, 153},
           {153, 153, 153},
           {250, 170, 30},
           {220, 220, 0},
           {107, 142, 35},
           {152, 251, 152},
           {70, 130, 180},
           {220, 20, 60},
           {255, 0, 0},
           {0, 0, 142},
           {0, 0, 70},
           {0, 60, 100},
           {0, 80, 100},
           {0, 0, 230},
           {119, 11, 32}}};
}

}  // namespace xtasc::preprocess
