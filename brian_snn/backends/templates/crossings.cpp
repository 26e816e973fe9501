{#
What neurons do in a step, in one pass: they integrate, are compared with the threshold, and those that spike are reset.

64 neurons are advanced and compared at a time, without a branch, which the compiler vectorises: at the rates of
converted networks a branch for each neuron is mispredicted so often that it costs several times the comparison. Their
results are gathered into the bits of one word, and only the spikes among them are visited.

USES_VARIABLES { N }
#}
{% extends 'common_group.cpp' %}
{% block maincode %}
    const int _vectorisation_idx = -1;
    {{scalar_code['advance']|autoindent}}
    {% set _eventspace = get_array_name(eventspace_variable) %}
    int32_t _count = 0;
    int64_t _block = 0;
    for (; _block + 64 <= N; _block += 64) {
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
            {{_eventspace}}[_count++] = _block + __builtin_ctzll(_spikes);
    }
    for (size_t _idx = _block; _idx < N; _idx++) {
        const size_t _vectorisation_idx = _idx;
        {{vector_code['advance']|autoindent}}
        if (_cond) {{_eventspace}}[_count++] = _idx;
    }
    {{_eventspace}}[N] = _count;
    {
        {{scalar_code['reset']|autoindent}}
        for (int32_t _k = 0; _k < _count; _k++) {
            const size_t _idx = {{_eventspace}}[_k];
            const size_t _vectorisation_idx = _idx;
            {{vector_code['reset']|autoindent}}
        }
    }
{% endblock %}
