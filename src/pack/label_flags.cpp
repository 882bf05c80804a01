#include "pack/label_flags.hpp"

#include <fmt/format.h>

#include <array>

#include "io/hdf5/hdf5.hpp"
#include "io/hdf5/hdf5_storage.hpp"
#include "pack/schema.hpp"

namespace xtasc::pack {

using io::check;
using io::Hdf5Handle;

void write_flags(hid_t group, std::string_view key, std::span<const std::uint8_t> flags) {
  const std::string name = flags_name(key);
  const std::array<hsize_t, 1> start = {0};
  const std::array<hsize_t, 1> count = {flags.size()};
  const Hdf5Handle space(check(H5Screate_simple(1, count.data(), nullptr), "cannot make a data space"), H5Sclose);
  const Hdf5Handle creation(check(H5Pcreate(H5P_DATASET_CREATE), "cannot make a property list"), H5Pclose);
  check(H5Pset_obj_track_times(creation.get(), false), "cannot switch time stamps off");
  check(H5Pset_chunk(creation.get(), 1, count.data()), "cannot set chunks");
  check(H5Pset_fletcher32(creation.get()), "cannot set checksums");
  const Hdf5Handle data_set(
      check(H5Dcreate2(group, name.c_str(), H5T_STD_U8LE, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
            "cannot create data set '{}'", name),
      H5Dclose);
  check(io::write_block(data_set.get(), H5T_STD_U8LE, start, count, flags.data()), "cannot write data set '{}'", name);
}

std::vector<std::uint8_t> read_flags(hid_t group, std::string_view key, std::size_t size, std::string_view place) {
  const std::string name = flags_name(key);
  if (!io::has_link(group, name)) {
    return {};
  }
  const std::string where = fmt::format("{}/{}", place, name);
  const Hdf5Handle data_set = io::open_dataset(group, name, place);
  const std::string type = io::dataset_type_name(data_set.get());
  check(type == "uint8", "{}: its elements are {}, uint8 is expected", where, type);
  const std::array<hsize_t, 1> count = {size};
  const auto shape = io::dataset_shape(data_set.get());
  check(shape == std::vector<hsize_t>{size}, "{}: its shape is {}, {} is expected", where, io::shape_text(shape), size);
  io::check_chunked_storage(data_set.get(), count, 1, where);
  const std::array<hsize_t, 1> start = {0};
  const io::ChunkBytes chunk_bytes = io::stored_chunk_bytes(data_set.get(), size, where);
  hsize_t stored = 0;
  check(H5Dget_chunk_storage_size(data_set.get(), start.data(), &stored), "{}: cannot read it", where);
  const std::string fault = chunk_bytes.fault_of(stored);
  check(fault.empty(), "{}: {}, the pack is damaged", where, fault);
  std::vector<std::uint8_t> flags(size);
  check(io::read_block(data_set.get(), H5T_NATIVE_UINT8, start, count, flags.data()),
        "{}: it cannot be read, the pack is damaged", where);
  for (std::size_t i = 0; i < size; ++i) {
    check(flags[i] <= 1, "{}: sample {} has {}; 0 (no labels) and 1 are possible", where, i, flags[i]);
  }
  return flags;
}

}  // namespace xtasc::pack
