#include "guard.hpp"
#include "preprocess/datasets/folder_description.hpp"

using namespace xtasc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::InputFile file({data, size});
  fuzz::expect_value_or_error([&] {
    const auto description = preprocess::read_folder_description(file.path());
    for (const std::string& text : {description.name, description.source, description.image_file,
                                    description.label.file, description.depth.file, description.split_files[0]}) {
      fuzz::look_at_all(text);
    }
    fuzz::look_at_all(description.label.void_values);
    fuzz::look_at_all(description.label.class_colors);
    fuzz::look_at_all(description.depth.invalid_values);
    for (const std::string& name : description.label.class_names) {
      fuzz::look_at_all(name);
    }
  });
  return 0;
}
