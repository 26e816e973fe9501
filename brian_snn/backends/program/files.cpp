// Files: where the program lies, whether they are as built, and the numbers in them.
//
// Part of brian_snn. Copyright (c) 2026 The brian_snn developers. SPDX-License-Identifier: MIT
#include "take_away.h"

#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

namespace take_away {

int64_t elements(const Shape& shape) {
    int64_t product = 1;
    for (int64_t length : shape) product *= length;
    return product;
}

std::string format(const char* pattern, ...) {
    std::va_list values, again;
    va_start(values, pattern);
    va_copy(again, values);
    std::vector<char> text(size_t(std::vsnprintf(nullptr, 0, pattern, values)) + 1);
    std::vsnprintf(text.data(), text.size(), pattern, again);
    va_end(again);
    va_end(values);
    return text.data();
}

std::string own_folder(const char* program) {
    std::string path = program;
#if defined(__linux__)
    path = "/proc/self/exe";
#elif defined(__APPLE__)
    char here[PATH_MAX];
    uint32_t size = sizeof here;
    if (_NSGetExecutablePath(here, &size) == 0) path = here;
#endif
    char* const whole = realpath(path.c_str(), nullptr);
    if (!whole) throw Refusal("cannot find the folder of the program; start it by its path, such as ./main");
    path = whole;
    std::free(whole);
    return path.substr(0, path.rfind('/') + 1);
}

std::vector<std::string> lines_of(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw Refusal("cannot read " + path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

/// Returns the CRC-32 of a file, as zlib has it: no single byte of a file changes without it.
static uint32_t crc_of(const std::string& path, int64_t& size) {
    uint32_t table[256];
    for (uint32_t k = 0; k < 256; k++) {
        table[k] = k;
        for (int bit = 0; bit < 8; bit++) table[k] = table[k] >> 1 ^ (table[k] & 1 ? 0xEDB88320u : 0);
    }
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Refusal("cannot read " + path);
    std::vector<char> piece(1 << 16);
    uint32_t crc = 0xFFFFFFFFu;
    size = 0;
    while (file.read(piece.data(), piece.size()), file.gcount() > 0) {
        for (std::streamsize k = 0; k < file.gcount(); k++) crc = crc >> 8 ^ table[(crc ^ uint8_t(piece[k])) & 0xFF];
        size += file.gcount();
    }
    return ~crc;
}

void require_whole(const std::string& sums) {
    for (const std::string& line : lines_of(sums)) {
        unsigned long crc = 0;
        long long size = 0;
        char name[256];
        if (std::sscanf(line.c_str(), "%8lx %lld %255s", &crc, &size, name) != 3) throw Refusal(sums + " is damaged");
        int64_t found = 0;
        if (crc_of(name, found) != crc || found != size)
            throw Refusal(std::string(name) + " is not as it was built; build the folder again");
    }
}

/// Returns the text behind a key of the dictionary in an .npy file.
static std::string entry(const std::string& header, const char* key, const std::string& path) {
    const size_t place = header.find(std::string("'") + key + "':");
    if (place == std::string::npos) throw Refusal(path + ": is no .npy file that this program reads");
    return header.substr(header.find_first_not_of(' ', place + std::strlen(key) + 3));
}

Numbers::Numbers(const std::string& path) : path(path), bare(false), start(0) {
    file.open(path, std::ios::binary | std::ios::ate);
    if (!file) throw Refusal(path + ": cannot be read");
    const int64_t size = file.tellg();
    file.seekg(0);
    static const std::map<std::string, std::string> bare_types = {{".f64", "<f8"}, {".f32", "<f4"}, {".u8", "|u1"}};
    const size_t dot = path.rfind('.');
    const std::string suffix = dot == std::string::npos ? "" : path.substr(dot);
    if (bare_types.count(suffix)) {
        type = bare_types.at(suffix);
        bare = true;
    } else if (suffix == ".npy") {
        char magic[12] = {};
        file.read(magic, 12);
        if (size < 12 || std::memcmp(magic, "\x93NUMPY", 6) || magic[6] < 1 || magic[6] > 3)
            throw Refusal(path + ": is no .npy file");
        const auto byte = [&](int k) { return int64_t(uint8_t(magic[k])); };
        const bool old = magic[6] == 1;
        const int64_t length = byte(8) | byte(9) << 8 | (old ? 0 : byte(10) << 16 | byte(11) << 24);
        start = (old ? 10 : 12) + length;
        if (start > size) throw Refusal(path + ": is cut short");
        std::string header(size_t(length), ' ');
        file.seekg(old ? 10 : 12);
        file.read(&header[0], length);
        const std::string descr = entry(header, "descr", path);
        type = descr.substr(1, descr.find('\'', 1) - 1);
        if (entry(header, "fortran_order", path).compare(0, 5, "False"))
            throw Refusal(path + ": is in Fortran order; save numpy.ascontiguousarray(images)");
        std::string lengths = entry(header, "shape", path);
        lengths = lengths.substr(1, lengths.find(')') - 1);
        for (const char* text = lengths.c_str(); *text;) {
            char* end = nullptr;
            shape.push_back(std::strtoll(text, &end, 10));
            if (end == text || shape.back() < 0 || shape.back() > INT_MAX) throw Refusal(path + ": its shape is damaged");
            for (text = end; *text == ',' || *text == ' '; text++) {}
        }
    } else {
        throw Refusal(path + ": images are .npy files, or bare numbers as .f64, .f32 or .u8");
    }
    static const std::map<std::string, int64_t> widths = {
        {"<f8", 8}, {"<f4", 4}, {"|u1", 1}, {"|i1", 1}, {"|b1", 1}, {"<i2", 2}, {"<u2", 2}, {"<i4", 4}, {"<u4", 4}, {"<i8", 8}};
    if (!widths.count(type)) throw Refusal(path + ": is of a type that is not read; save images as float64");
    width = widths.at(type);
    if (bare) shape = {size / width};
    // In double, where no product of lengths overflows.
    double whole = double(width);
    for (int64_t length : shape) whole *= double(length);
    if (double(size - start) != whole) throw Refusal(path + ": has more or fewer numbers than it should");
}

template <class T> static void decode(const char* bytes, int64_t count, double* into) {
    for (int64_t k = 0; k < count; k++) {
        T number;
        std::memcpy(&number, bytes + k * int64_t(sizeof number), sizeof number);
        into[k] = double(number);
    }
}

void Numbers::read(int64_t first, int64_t count, double* into) {
    buffer.resize(size_t(count * width));
    file.clear();
    file.seekg(start + first * width);
    file.read(buffer.data(), count * width);
    if (!file) throw Refusal(path + ": cannot be read");
    const char kind = type[1];
    const char* const bytes = buffer.data();
    if (type == "<f8") decode<double>(bytes, count, into);
    else if (type == "<f4") decode<float>(bytes, count, into);
    else if (type == "|i1") decode<int8_t>(bytes, count, into);
    else if (width == 1) decode<uint8_t>(bytes, count, into);
    else if (width == 8) decode<int64_t>(bytes, count, into);
    else if (width == 4) kind == 'i' ? decode<int32_t>(bytes, count, into) : decode<uint32_t>(bytes, count, into);
    else kind == 'i' ? decode<int16_t>(bytes, count, into) : decode<uint16_t>(bytes, count, into);
}

}
