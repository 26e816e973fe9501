// What a network does outside brian_snn besides spiking: it reads its numbers and images, computes the currents that an
// image brings, and writes what came of it. The spikes are those of the code that Brian2 generated.
//
// Part of brian_snn. Copyright (c) 2026 The brian_snn developers. SPDX-License-Identifier: MIT
#pragma once

#include <cfloat>
#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__FAST_MATH__)
#error "compiled with -ffast-math the sums are others; leave it out"
#endif
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "this processor computes double in another width; on x86 add -msse2 -mfpmath=sse"
#endif
static_assert(std::numeric_limits<double>::is_iec559 && sizeof(double) == 8, "double is not float64 of IEEE 754");

namespace take_away {

typedef std::vector<int64_t> Shape;
int64_t elements(const Shape& shape);

/// What ends the program: a message, and its exit code.
struct Refusal : std::runtime_error {
    const int code;
    explicit Refusal(const std::string& message, int code = 2) : std::runtime_error(message), code(code) {}
};

/// Returns a text made as by printf.
std::string format(const char* pattern, ...);

// --- files ----------------------------------------------------------------------------------------------------------

/// The folder that the program lies in, whatever the working directory is; ends with a slash.
std::string own_folder(const char* program);

/// Raises unless each file of the list `sums` has the size and the CRC-32 that it was built with.
void require_whole(const std::string& sums);

std::vector<std::string> lines_of(const std::string& path);

/// A file of numbers in C order: .npy, or the bare numbers as .f64, .f32, .u8. All little-endian.
class Numbers {
public:
    explicit Numbers(const std::string& path);
    /// Reads `count` numbers from the one of that place on.
    void read(int64_t first, int64_t count, double* into);
    std::string path;
    bool bare;          ///< whether the file says no shape
    Shape shape;        ///< of .npy; of bare numbers their count

private:
    std::ifstream file;
    std::string type;
    int64_t start, width;
    std::vector<char> buffer;
};

/// Reads a whole file of plain values.
template <class T> std::vector<T> values_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw Refusal("cannot read " + path);
    std::vector<T> values(size_t(file.tellg()) / sizeof(T));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(values.data()), values.size() * sizeof(T));
    if (!file) throw Refusal("cannot read " + path);
    return values;
}

// --- the network ----------------------------------------------------------------------------------------------------

struct Population {
    Shape shape;
    double v_init;      ///< V(0)
    double drive;       ///< largest charge that spikes bring to a neuron in a step
    double reversal;    ///< size of the reversal potential that lies further from rest; 0 without conductances
    double limit;       ///< where sums of its type end to be exact
    int bits;           ///< of the type's sums
    std::string name;   ///< as messages show it
    int64_t size() const { return elements(shape); }
};

/// A linear map from the image, as a grouped convolution over (rows, columns, channels).
struct Map {
    int position;       ///< of its target
    int64_t rows_in, columns_in, channels_in, rows_out, columns_out, channels_out, groups;
    int64_t kernel_rows, kernel_columns, stride_rows, stride_columns, dilation_rows, dilation_columns, top, left;
    bool weight_per_target;
    std::vector<double> weights;            ///< (kernel rows, kernel columns, channels of a group, channels out)
    std::vector<int32_t> sources, targets;  ///< pixel of each input, -1 for none; neuron of each output; or empty
};

/// What the random numbers of a population are drawn from, besides the number of the image: words of 32 bits before it
/// and behind it, as NumPy's SeedSequence takes them.
struct Stream {
    std::vector<uint32_t> before, behind;
};

struct Output {
    enum Meaning { numbers, classes, yes_no };
    int position;
    Meaning meaning;
    bool from_spikes;
    int64_t steps;      ///< in which it was not clamped
    double threshold;
    std::vector<double> scale;
};

/// What model/model.txt says.
struct Model {
    explicit Model(const std::string& folder);
    int64_t steps;
    double grid;
    bool is_calibrated;
    double lowest, highest;     ///< pixels of the calibration images
    int heaviest;               ///< position of the population of the neuron with the largest weights to the image
    double heaviest_row;        ///< their sum
    Shape image;
    std::vector<Population> populations;
    std::map<int, Stream> streams;              ///< of the populations that draw random numbers
    std::vector<Output> outputs;
    std::vector<Map> maps;
    std::map<int, std::vector<double>> bias;    ///< of the populations that see the image
};

/// What an image brings: the constant currents of the populations that see it, and the random numbers of those that draw
/// some, bit for bit those of brian_snn.
class Currents {
public:
    explicit Currents(const Model& model) : model(model) {}
    /// Computes W x + b on the grid; refuses an image with which a sum could end to be exact.
    void show(const std::vector<double>& pixels);
    const std::vector<double>& of(int position) const { return currents.at(position); }
    /// Key of the random numbers of a population for the image of this number.
    double key_of(int position, uint64_t number) const;

private:
    void add(const Map& map, const std::vector<double>& pixels, std::vector<double>& totals) const;
    void require_range() const;
    double bound_of(const Population& population, double current) const;
    const Model& model;
    std::map<int, std::vector<double>> currents;
};

// --- the program ----------------------------------------------------------------------------------------------------

/// What was measured of an image, by position of the population.
struct Measured {
    std::map<int, std::vector<int32_t>> spikes;
    std::map<int, std::vector<double>> potentials;
};

class Program {
public:
    /// Takes the command line; ends the process where it cannot be followed, or a file is not as it was built.
    Program(int argc, char** argv);

    /// Of the generated code: NAME=VALUE, or NAME=FILE.
    std::vector<std::string> parameters() const { return lines_of("model/parameters.txt"); }

    /// Takes the number of steps, that of an image and what it brings, puts in what was measured, and is false after Ctrl-C.
    typedef std::function<bool(int64_t, uint64_t, const Currents&, Measured&)> Simulate;

    /// Shows all images and returns the exit code.
    int run(const Simulate& simulate);

private:
    void read_command_line(int argc, char** argv);
    void open_files(const Model& model);
    void look_at_pixels(const Model& model);
    void read_image(int64_t number, std::vector<double>& pixels);

    std::vector<std::string> paths;
    std::vector<Numbers> files;
    std::vector<int64_t> n_images;      ///< of each file
    std::string output;
    double divisor = 1;
    uint64_t first = 0;                 ///< number of the first image
    bool any_range = false, checks = false;
};

}
