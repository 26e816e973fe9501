// The numbers of the network, and the currents that an image brings.
//
// Part of brian_snn. Copyright (c) 2026 The brian_snn developers. SPDX-License-Identifier: MIT
#include "take_away.h"

#include <algorithm>
#include <cmath>

namespace take_away {

/// Reads the numbers of a text one by one.
class Reader {
public:
    explicit Reader(const std::string& path) : path(path), file(path) {}
    template <class T> T next() {
        T number{};
        if (!(file >> number)) throw Refusal("cannot read " + path);
        return number;
    }
    template <class T> operator T() { return next<T>(); }
    Shape shape() {
        Shape lengths(next<size_t>());
        for (int64_t& length : lengths) length = next<int64_t>();
        return lengths;
    }

private:
    const std::string path;
    std::ifstream file;
};

static Map read_map(Reader& text, const std::string& folder, size_t number) {
    Map map;
    map.position = text;
    for (int64_t* value : {&map.rows_in, &map.columns_in, &map.channels_in, &map.rows_out, &map.columns_out,
                           &map.channels_out, &map.groups, &map.kernel_rows, &map.kernel_columns, &map.stride_rows,
                           &map.stride_columns, &map.dilation_rows, &map.dilation_columns, &map.top, &map.left})
        *value = text;
    map.weight_per_target = text;
    const std::string start = folder + format("map_%zu_", number);
    map.weights = values_of<double>(start + "weights.bin");
    if (text.next<bool>()) map.sources = values_of<int32_t>(start + "sources.bin");
    if (text.next<bool>()) map.targets = values_of<int32_t>(start + "targets.bin");
    return map;
}

Model::Model(const std::string& folder) {
    Reader text(folder + "model.txt");
    steps = text;
    grid = text;
    is_calibrated = text;
    lowest = text;
    highest = text;
    heaviest = text;
    heaviest_row = text;
    image = text.shape();
    populations.resize(text.next<size_t>());
    const std::vector<std::string> names = lines_of(folder + "names.txt");
    for (size_t k = 0; k < populations.size(); k++) {
        Population& population = populations[k];
        population.shape = text.shape();
        population.v_init = text;
        population.drive = text;
        population.reversal = text;
        population.limit = text;
        population.bits = text;
        population.name = names.at(k).substr(names[k].find(' ') + 1);
        if (text.next<bool>()) bias[int(k)] = values_of<double>(folder + format("bias_%zu.bin", k));
    }
    for (size_t left = text; left > 0; left--) {
        Stream& stream = streams[text.next<int>()];
        for (std::vector<uint32_t>* words : {&stream.before, &stream.behind}) {
            words->resize(text.next<size_t>());
            for (uint32_t& word : *words) word = text;
        }
    }
    outputs.resize(text.next<size_t>());
    for (Output& output : outputs) {
        output.position = text;
        output.meaning = Output::Meaning(text.next<int>());
        output.from_spikes = text;
        output.steps = text;
        output.threshold = text;
        output.scale = values_of<double>(folder + format("scale_%d.bin", output.position));
    }
    const size_t n_maps = text;
    for (size_t k = 0; k < n_maps; k++) maps.push_back(read_map(text, folder, k));
}

// An image is split as brian_snn.network.forward does, for the same reasons and by the same constants: into parts, coarse
// to fine, over which sums are exact in any order but for the last, whose rounding cannot be seen.
static const double pixel_grid = std::ldexp(1.0, -24);
static const double exact = std::ldexp(1.0, 52);
static const double unseen = std::ldexp(1.0, 13);
static const double largest_rest = std::ldexp(1.0, -12);

static double largest(const std::vector<double>& numbers) {
    double most = 0;
    for (double number : numbers) {
        if (!std::isfinite(number)) return std::fabs(number);
        most = std::max(most, std::fabs(number));
    }
    return most;
}

void Currents::show(const std::vector<double>& pixels) {
    const double row = model.heaviest_row, grid = model.grid;
    for (const auto& bias : model.bias) currents[bias.first].assign(bias.second.size(), 0.0);
    std::vector<double> rest = pixels, part(pixels.size()), totals;
    bool done = false;
    for (bool first = true; !done; first = false) {
        const double sums = row * largest(rest);
        done = sums <= (first ? 0.0 : unseen * grid);
        double unit = std::exp2(std::ceil(std::log2(std::max(sums, std::ldexp(1.0, -1000)) / (exact * grid))));
        if (first) unit = std::max(unit, pixel_grid);
        if (!done && !(row < exact * grid / 2 && row * unit <= largest_rest * exact * grid))
            throw Refusal(format(
                "images have pixels of up to %.3g, and a neuron of population %s has weights of %.3g in all to them: "
                "their sum cannot be had exactly. Give the images in the range on which the model was trained.",
                largest(pixels), model.populations.at(model.heaviest).name.c_str(), row));
        for (size_t k = 0; k < rest.size(); k++) {
            const bool whole = done || std::fabs(rest[k]) >= exact * unit;
            part[k] = whole ? rest[k] : std::rint(rest[k] / unit) * unit;
            rest[k] -= part[k];
        }
        for (auto& current : currents) {
            const std::vector<double>& bias = model.bias.at(current.first);
            totals.assign(current.second.size(), 0.0);
            for (const Map& map : model.maps)
                if (map.position == current.first) add(map, part, totals);
            for (size_t k = 0; k < totals.size(); k++) current.second[k] += totals[k];
            // The bias is added behind the first part.
            if (first)
                for (size_t k = 0; k < totals.size(); k++) current.second[k] += bias[k];
        }
    }
    for (auto& current : currents)
        for (double& z : current.second) z = std::rint(z / grid) * grid;
    require_range();
}

void Currents::add(const Map& map, const std::vector<double>& pixels, std::vector<double>& totals) const {
    const int64_t in_group = map.channels_in / map.groups, out_group = map.channels_out / map.groups;
    for (int64_t y = 0; y < map.rows_out; y++)
    for (int64_t x = 0; x < map.columns_out; x++) {
        const int64_t window = (y * map.columns_out + x) * map.channels_out;
        for (int64_t i = 0; i < map.kernel_rows; i++)
        for (int64_t j = 0; j < map.kernel_columns; j++) {
            const int64_t row = y * map.stride_rows + i * map.dilation_rows - map.top;
            const int64_t column = x * map.stride_columns + j * map.dilation_columns - map.left;
            if (row < 0 || row >= map.rows_in || column < 0 || column >= map.columns_in) continue;
            for (int64_t channel = 0; channel < map.channels_in; channel++) {
                const int64_t input = (row * map.columns_in + column) * map.channels_in + channel;
                const int64_t source = map.sources.empty() ? input : map.sources[input];
                if (source < 0 || pixels[source] == 0) continue;
                const int64_t group = channel / in_group, target = window + group * out_group;
                const int64_t tap = (i * map.kernel_columns + j) * in_group + channel % in_group;
                const double* const weights =
                    map.weights.data() + (map.weight_per_target ? target : tap * map.channels_out + group * out_group);
                if (map.targets.empty())
                    for (int64_t c = 0; c < out_group; c++) totals[target + c] += weights[c] * pixels[source];
                else
                    for (int64_t c = 0; c < out_group; c++) totals[map.targets[target + c]] += weights[c] * pixels[source];
            }
        }
    }
}

// The state of NumPy's SeedSequence (after O'Neill's seed_seq_fe): words are hashed into a pool of four, which is hashed
// again into the numbers that come out. As in brian_snn.randomness, 53 bits of the first are the key.
double Currents::key_of(int position, uint64_t number) const {
    const Stream& stream = model.streams.at(position);
    std::vector<uint32_t> words(stream.before);
    words.push_back(uint32_t(number));
    if (number >> 32) words.push_back(uint32_t(number >> 32));
    words.insert(words.end(), stream.behind.begin(), stream.behind.end());
    const size_t size = 4;
    uint32_t pool[size], factor = 0x43b0d7e5;
    const auto hashed = [&factor](uint32_t word, uint32_t next) {
        word ^= factor;
        factor *= next;
        word *= factor;
        return word ^ word >> 16;
    };
    const auto mixed = [](uint32_t one, uint32_t other) {
        const uint32_t word = 0xca01f9dd * one - 0x4973f715 * other;
        return word ^ word >> 16;
    };
    for (size_t k = 0; k < size; k++) pool[k] = hashed(words.at(k), 0x931e8875);
    for (size_t from = 0; from < size; from++)
        for (size_t to = 0; to < size; to++)
            if (from != to) pool[to] = mixed(pool[to], hashed(pool[from], 0x931e8875));
    for (size_t k = size; k < words.size(); k++)
        for (uint32_t& word : pool) word = mixed(word, hashed(words[k], 0x931e8875));
    factor = 0x8b51f9dd;
    const uint32_t low = hashed(pool[0], 0x58f38ded), high = hashed(pool[1], 0x58f38ded);
    return double((uint64_t(high) << 32 | low) >> 11);
}

double Currents::bound_of(const Population& population, double current) const {
    const double steps = double(model.steps), end = population.reversal;
    const double gathered = std::fabs(population.v_init) + steps * (population.drive + current);
    // As brian_snn.network.parameters.check_range has it.
    return end > 0 ? gathered + 2 * steps * (end + (gathered + steps * end)) : gathered;
}

void Currents::require_range() const {
    const Population* worst = nullptr;
    double bound = 0, ratio = 0;
    for (const auto& current : currents) {
        const Population& population = model.populations[current.first];
        const double gathered = bound_of(population, largest(current.second));
        const double part = std::isfinite(gathered) ? gathered / population.limit : HUGE_VAL;
        if (worst && part <= ratio) continue;
        worst = &population;
        bound = gathered;
        ratio = part;
    }
    if (!worst || bound < worst->limit) return;
    std::string advice = "Simulate fewer steps or check the weights.";
    if (worst->bits == 24 && std::isfinite(bound))
        advice = format("Convert with a grid of 2**%d or coarser, simulate fewer steps, or use float64.",
                        int(std::floor(std::log2(bound))) + 1 - worst->bits);
    throw Refusal(format("population %s could gather a charge of %.3g in %lld steps; sums in %s are exact below %.3g only. %s",
                         worst->name.c_str(), bound, (long long)model.steps, worst->bits == 24 ? "float32" : "float64",
                         worst->limit, advice.c_str()));
}

}
