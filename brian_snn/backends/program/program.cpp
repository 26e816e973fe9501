// The program: what it is asked for, image after image, and what it writes.
//
// Part of brian_snn. Copyright (c) 2026 The brian_snn developers. SPDX-License-Identifier: MIT
#include "take_away.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace take_away {

static const char* const usage =
    "usage: main [--any-range] [--divide-by D] [--first N] [-o FOLDER] IMAGES...\n"
    "       main --check\n"
    "\n"
    "IMAGES      .npy of one image or of several, or the bare numbers as .f64, .f32 or .u8\n"
    "--divide-by divide every pixel by D first, such as 255\n"
    "--any-range take images whose pixels are far from those that the network was calibrated on\n"
    "--first N   the number of the first image, 0 by default: what is drawn for an image depends on its number\n"
    "-o FOLDER   a new folder for spike counts, final potentials, logits and predictions as .npy\n"
    "--check     show the test image and compare what comes out with what brian_snn says\n";

/// Answers that are shown of an output; files have all.
static const size_t most_shown = 16;

static int report(const std::exception& error) {
    // A path, or what a file says of itself, may hold what steers a terminal.
    std::string words;
    for (const char* c = error.what(); *c; c++) words += uint8_t(*c) < 32 || *c == 127 ? format("\\x%02x", *c) : std::string(1, *c);
    std::cerr << "main: error: " << words << std::endl;
    const Refusal* const refusal = dynamic_cast<const Refusal*>(&error);
    return refusal ? refusal->code : 3;
}

Program::Program(int argc, char** argv) {
    try {
        // Without a reader the program still has a folder to write, or to delete.
        std::signal(SIGPIPE, SIG_IGN);
        const uint16_t one = 1;
        if (!*reinterpret_cast<const char*>(&one)) throw Refusal("this processor is big-endian; the files are not");
        read_command_line(argc, argv);
        if (chdir(own_folder(argv[0]).c_str())) throw Refusal("cannot enter the folder of the program");
        require_whole("model/sums.txt");
    } catch (const std::exception& error) {
        std::exit(report(error));
    }
}

void Program::read_command_line(int argc, char** argv) {
    char* const here = getcwd(nullptr, 0);
    if (!here) throw Refusal("there is no working directory");
    const std::string start = std::string(here) + "/";
    std::free(here);
    // The program goes to its own folder; what it is given lies elsewhere.
    const auto absolute = [&](const std::string& path) { return path[0] == '/' ? path : start + path; };
    for (int k = 1; k < argc; k++) {
        const std::string word = argv[k];
        const auto value = [&]() {
            if (++k == argc) throw Refusal(word + " needs a value");
            return std::string(argv[k]);
        };
        if (word == "--help" || word == "-h") {
            std::cout << usage;
            std::exit(0);
        }
        if (word == "--check") checks = true;
        else if (word == "--any-range") any_range = true;
        else if (word == "-o") output = absolute(value());
        else if (word == "--divide-by") {
            const std::string text = value();
            char* end = nullptr;
            divisor = std::strtod(text.c_str(), &end);
            if (*end || !(divisor > 0) || std::isinf(divisor)) throw Refusal("--divide-by is " + text + "; it must be a positive number");
        } else if (word == "--first") {
            const std::string text = value();
            if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
                throw Refusal("--first is " + text + "; it must be a whole number");
            first = std::stoull(text);
        } else if (word.empty() || word[0] == '-') throw Refusal("there is no option " + word + "; see --help");
        else paths.push_back(absolute(word));
    }
    if (checks && argc > 2) throw Refusal("--check stands alone");
    if (!checks && paths.empty()) throw Refusal("no images were given; see --help");
    if (checks) {
        paths.push_back("check/image.npy");
        any_range = true;
    }
    struct stat found;
    if (!output.empty() && !lstat(output.c_str(), &found)) throw Refusal(output + ": exists already; name another folder");
}

static std::string in_words(const Shape& shape) {
    std::string text = "(";
    for (size_t k = 0; k < shape.size(); k++) text += format(k ? ", %lld" : "%lld", (long long)shape[k]);
    return text + (shape.size() == 1 ? ",)" : ")");
}

void Program::open_files(const Model& model) {
    const int64_t pixels = elements(model.image);
    for (const std::string& path : paths) {
        files.emplace_back(path);
        Shape shape = files.back().shape;
        if (files.back().bare && shape[0] % pixels)
            throw Refusal(path + format(": has %lld numbers, which are no images of %lld", (long long)shape[0], (long long)pixels));
        if (files.back().bare) {
            n_images.push_back(shape[0] / pixels);
        } else if (shape == model.image) {
            n_images.push_back(1);
        } else {
            const bool fits = shape.size() == model.image.size() + 1 && std::equal(model.image.begin(), model.image.end(), shape.begin() + 1);
            if (!fits) throw Refusal("images of " + path + " have shape " + in_words(shape) + "; the model's input is " + in_words(model.image));
            n_images.push_back(shape[0]);
        }
        if (!n_images.back()) throw Refusal(path + ": has no image");
    }
}

void Program::read_image(int64_t number, std::vector<double>& pixels) {
    size_t k = 0;
    for (; number >= n_images[k]; k++) number -= n_images[k];
    files[k].read(number * int64_t(pixels.size()), int64_t(pixels.size()), pixels.data());
    for (double& pixel : pixels) pixel /= divisor;
}

static int64_t total_of(const std::vector<int64_t>& numbers) {
    int64_t total = 0;
    for (int64_t number : numbers) total += number;
    return total;
}

/// Refuses images that are no numbers, or of another range than those that the network was calibrated on.
void Program::look_at_pixels(const Model& model) {
    const int64_t total = total_of(n_images);
    std::vector<double> pixels(static_cast<size_t>(elements(model.image)));
    int64_t bad = 0, bad_images = 0, first = 0;
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int64_t number = 0; number < total; number++) {
        read_image(number, pixels);
        const int64_t before = bad;
        for (double pixel : pixels) {
            bad += !std::isfinite(pixel);
            low = std::min(low, pixel);
            high = std::max(high, pixel);
        }
        if (bad > before && !bad_images++) first = number;
    }
    if (bad)
        throw Refusal(format("images hold %lld NaN or infinite pixels in %lld of %lld images, first in image %lld (counted "
                             "from 0); every pixel must be a finite number.",
                             (long long)bad, (long long)bad_images, (long long)total, (long long)first));
    const double width = model.highest - model.lowest;
    if (any_range || !model.is_calibrated || width == 0) return;
    if (low < model.lowest - width || high > model.highest + width || (0 < high - low && high - low < 0.01 * width))
        throw Refusal(format("images range from %g to %g, those that the network was calibrated on from %g to %g; scale "
                             "them as the calibration images were (--divide-by), or go on with --any-range.",
                             low, high, model.lowest, model.highest));
}

// --- what came of an image ------------------------------------------------------------------------------------------

/// One array of the results, as far as it is of one image.
struct Array {
    std::string name;
    bool whole;     ///< int32, or float64
    Shape shape;
    std::vector<double> values;
};

static std::vector<double> logits_of(const Output& output, const Model& model, const Measured& measured) {
    const bool counts = output.from_spikes;
    const auto& spikes = measured.spikes;
    const auto& potentials = measured.potentials;
    std::vector<double> logits(size_t(model.populations[output.position].size()), 0.0);
    if (output.steps <= 0) return logits;
    const double start = model.populations[output.position].v_init;
    for (size_t k = 0; k < logits.size(); k++)
        logits[k] = counts ? spikes.at(output.position)[k] / double(output.steps) * output.scale[k % output.scale.size()]
                           : (potentials.at(output.position)[k] - start) / (output.threshold * double(output.steps));
    return logits;
}

/// Returns the class with the largest logit; of several that with the largest potential, and the first of those.
static std::vector<double> classes_of(const std::vector<double>& logits, const std::vector<double>& potentials, size_t n_classes) {
    std::vector<double> answers;
    for (size_t start = 0; start < logits.size(); start += n_classes) {
        size_t best = start;
        for (size_t k = start + 1; k < start + n_classes; k++) {
            const bool tie = logits[k] == logits[best] && !potentials.empty();
            if (logits[k] > logits[best] || (tie && potentials[k] > potentials[best])) best = k;
        }
        answers.push_back(double(best - start));
    }
    return answers;
}

static void add_output(std::vector<Array>& arrays, std::string& line, const Output& output, const Model& model, const Measured& measured) {
    Shape shape = model.populations[output.position].shape;
    const size_t last = size_t(shape.back());
    const std::vector<double> logits = logits_of(output, model, measured);
    arrays.push_back({format("logits_%d", output.position), false, shape, logits});
    std::vector<double> shown = logits;
    if (output.meaning != Output::numbers) {
        const auto found = measured.potentials.find(output.position);
        const std::vector<double> potentials = found == measured.potentials.end() ? std::vector<double>() : found->second;
        if (output.meaning == Output::classes) shown = classes_of(logits, potentials, last);
        else for (double& answer : shown) answer = answer > 0;
        if (output.meaning == Output::classes || last == 1) shape.pop_back();
        arrays.push_back({format("predictions_%d", output.position), true, shape, shown});
    }
    line += line.empty() ? "" : " |";
    for (size_t k = 0; k < std::min(shown.size(), most_shown); k++) line += format(" %.17g", shown[k]);
    if (shown.size() > most_shown) line += " ...";
}

static std::vector<Array> arrays_of(const Model& model, const Measured& measured, std::string& line) {
    std::vector<Array> arrays;
    for (const auto& entry : measured.spikes)
        arrays.push_back({format("spikes_%d", entry.first), true, model.populations[entry.first].shape,
                          std::vector<double>(entry.second.begin(), entry.second.end())});
    for (const auto& entry : measured.potentials)
        arrays.push_back({format("potentials_%d", entry.first), false, model.populations[entry.first].shape, entry.second});
    for (const Output& output : model.outputs) add_output(arrays, line, output, model, measured);
    return arrays;
}

// --- where it goes --------------------------------------------------------------------------------------------------

/// A folder of results that is there whole or not at all.
class Folder {
public:
    Folder(const std::string& path, int64_t n_images) : path(path), part(path + format(".%ld.part", long(getpid()))), n_images(n_images) {
        if (mkdir(part.c_str(), 0777)) throw Refusal(path + ": cannot be made");
    }
    ~Folder() {
        if (part.empty()) return;
        for (auto& entry : files) {
            entry.second->close();
            std::remove(entry.first.c_str());
        }
        rmdir(part.c_str());
    }
    void write(const Array& array) {
        std::ofstream& file = open(array.name + ".npy");
        if (!file.tellp()) write_header(file, array);
        const std::vector<int32_t> whole(array.values.begin(), array.whole ? array.values.end() : array.values.begin());
        if (array.whole) file.write(reinterpret_cast<const char*>(whole.data()), whole.size() * sizeof(int32_t));
        else file.write(reinterpret_cast<const char*>(array.values.data()), array.values.size() * sizeof(double));
        require_written(file);
    }
    void finish() {
        open("names.txt") << std::ifstream("model/names.txt").rdbuf();
        for (auto& entry : files) {
            entry.second->close();
            require_written(*entry.second);
        }
        if (std::rename(part.c_str(), path.c_str())) throw Refusal(path + ": cannot be made");
        part.clear();
    }

private:
    std::ofstream& open(const std::string& name) {
        std::unique_ptr<std::ofstream>& file = files[part + "/" + name];
        if (!file) file.reset(new std::ofstream(part + "/" + name, std::ios::binary));
        return *file;
    }
    void require_written(const std::ofstream& file) const {
        if (!file) throw Refusal(path + ": cannot be written (is the disk full?)");
    }
    void write_header(std::ofstream& file, const Array& array) const {
        Shape shape = array.shape;
        shape.insert(shape.begin(), n_images);
        std::string header = std::string("{'descr': '") + (array.whole ? "<i4" : "<f8") + "', 'fortran_order': False, 'shape': " + in_words(shape) + ", }";
        // The numbers begin at a multiple of 64.
        header.resize((10 + header.size()) / 64 * 64 + 53, ' ');
        header += '\n';
        file.write("\x93NUMPY\x01\x00", 8);
        file.put(char(header.size() & 0xFF)).put(char(header.size() >> 8)) << header;
    }
    const std::string path;
    std::string part;
    const int64_t n_images;
    std::map<std::string, std::unique_ptr<std::ofstream>> files;
};

/// Compares an array with the right answer and says what differs.
static bool is_right(const Array& array) {
    Numbers expected("check/" + array.name + ".npy");
    if (elements(expected.shape) != int64_t(array.values.size())) throw Refusal(expected.path + ": is of another shape");
    std::vector<double> values(array.values.size());
    expected.read(0, int64_t(values.size()), values.data());
    size_t n_different = 0;
    for (size_t k = 0; k < values.size(); k++) n_different += values[k] != array.values[k];
    if (n_different) std::cout << array.name << ": " << n_different << " of " << values.size() << " differ" << std::endl;
    return !n_different;
}

int Program::run(const Simulate& simulate) {
    try {
        const Model model("model/");
        open_files(model);
        look_at_pixels(model);
        const int64_t total = total_of(n_images);
        Currents currents(model);
        std::unique_ptr<Folder> folder(output.empty() ? nullptr : new Folder(output, total));
        std::vector<double> pixels(static_cast<size_t>(elements(model.image)));
        bool right = true;
        for (int64_t number = 0; number < total; number++) {
            read_image(number, pixels);
            try {
                currents.show(pixels);
            } catch (const Refusal& refusal) {
                throw Refusal(format("image %lld: ", (long long)number) + refusal.what());
            }
            Measured measured;
            if (!simulate(model.steps, first + uint64_t(number), currents, measured)) throw Refusal("interrupted; nothing was written", 130);
            std::string line;
            for (const Array& array : arrays_of(model, measured, line)) {
                if (folder) folder->write(array);
                if (checks) right &= is_right(array);
            }
            std::cout << "image " << number << ":" << line << std::endl;
            if (!std::cout && !folder) throw Refusal("nobody reads what is said");
        }
        if (folder) folder->finish();
        if (checks) std::cout << (right ? "all counts and potentials are right" : "NOT what brian_snn says") << std::endl;
        return !right;
    } catch (const std::exception& error) {
        return report(error);
    }
}

}
