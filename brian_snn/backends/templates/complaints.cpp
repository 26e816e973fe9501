{#
Inserted into the main() of Brian2's standalone project before it reads any file.

Of a file that is missing or has the wrong size Brian2 only says so, on one stream or the other, and goes on without it.
Whatever it says goes to the standard error and is remembered; the loop over images does not begin then.
#}
struct : std::streambuf {
    std::streambuf* const standard_error = std::cerr.rdbuf();
    bool heard = false;
    int_type overflow(int_type character) override {
        heard = true;
        return standard_error->sputc(traits_type::to_char_type(character));
    }
} complaints;
std::streambuf* const standard_output = std::cout.rdbuf(&complaints);
std::cerr.rdbuf(&complaints);
