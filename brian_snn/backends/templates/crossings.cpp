{#
What neurons do in a step, in one pass: they integrate, are compared with the threshold, and those that spike are reset.

64 neurons are advanced and compared at a time, without a branch, which the compiler vectorises: at the rates of
converted networks a branch for each neuron is mispredicted so often that it costs several times the comparison. Their
results are gathered into the bits of one word, and only the spikes among them are visited.

Threads share out the neurons. Each lists its spikes from the place of its first neuron on, where no other can come to,
and they are moved together afterwards.

USES_VARIABLES { N }
#}
{% extends 'common_group.cpp' %}
{% block extra_headers %}
static void _advance(int32_t _part, int32_t _n_parts);
static std::vector<int32_t> _counts;
{% endblock %}
{% block maincode %}
    {% set _eventspace = get_array_name(eventspace_variable) %}
    const int32_t _n_parts = team::parts(N, N / 64);
    _counts.resize(_n_parts);
    team::share(_n_parts, _advance);
    int32_t _n_spikes = _counts[0];
    for (int64_t _part = 1; _part < _n_parts; _part++) {
        std::memmove({{_eventspace}} + _n_spikes, {{_eventspace}} + N / 64 * _part / _n_parts * 64, _counts[_part] * sizeof(int32_t));
        _n_spikes += _counts[_part];
    }
    {{_eventspace}}[N] = _n_spikes;
{% endblock %}
{% block extra_functions_cpp %}
static void _advance(const int32_t _part, const int32_t _n_parts)
{
    using namespace brian;

    ///// CONSTANTS ///////////
    %CONSTANTS%
    ///// POINTERS ////////////
    {{pointers_lines|autoindent}}

    {% set _eventspace = get_array_name(eventspace_variable) %}
    const int64_t _first = N / 64 * _part / _n_parts * 64;
    const int64_t _end = _part + 1 < _n_parts ? N / 64 * (_part + 1) / _n_parts * 64 : N;
    const int _vectorisation_idx = -1;
    {{scalar_code['advance']|autoindent}}
    int32_t* _own = {{_eventspace}} + _first;
    int32_t _count = 0;
    int64_t _block = _first;
    for (; _block + 64 <= _end; _block += 64) {
        alignas(64) char _above[64];
        for (int _k = 0; _k < 64; _k++) {
            const size_t _idx = _block + _k;
            const size_t _vectorisation_idx = _idx;
            {{vector_code['advance']|autoindent}}
            _above[_k] = _cond;
        }
        uint64_t _spikes = 0;
        for (int _k = 0; _k < 64; _k += 8) {
            uint64_t _eight;
            std::memcpy(&_eight, _above + _k, 8);
            // The product moves the lowest bit of each byte into the highest byte, in order.
            _spikes |= (_eight * 0x0102040810204080ULL >> 56) << _k;
        }
        for (; _spikes; _spikes &= _spikes - 1)
            _own[_count++] = _block + __builtin_ctzll(_spikes);
    }
    for (size_t _idx = _block; _idx < _end; _idx++) {
        const size_t _vectorisation_idx = _idx;
        {{vector_code['advance']|autoindent}}
        if (_cond) _own[_count++] = _idx;
    }
    {
        {{scalar_code['reset']|autoindent}}
        for (int32_t _k = 0; _k < _count; _k++) {
            const size_t _idx = _own[_k];
            const size_t _vectorisation_idx = _idx;
            {{vector_code['reset']|autoindent}}
        }
    }
    _counts[_part] = _count;
}
{% endblock %}
