{#
Adds, for every spike of the source in this step, the row of the shared kernel into the targets' input.

Every map is a grouped convolution over (height, width, channels). Its weights come in the order of the targets: kernel
row, input channel, kernel column from the last to the first, output channel. So where windows are neighbours, all of a
row are one run of numbers, which the innermost loop adds to one run of targets. All sizes are constants of the compiled
code. Order does not matter: sums of numbers on the grid are exact.

Threads share out the targets, so that no two write the same one: bands of output rows, each with the spikes that reach
it, or of maps of few rows and many channels the channels, each with all spikes.

USES_VARIABLES { _spikespace }
#}
{% extends 'common_group.cpp' %}
{% block extra_headers %}
static void _deliver(int32_t _part, int32_t _n_parts);
{% endblock %}
{% block maincode %}
    {% if skip_clamped %}
    if ({{t_in_timesteps}} < {{clamp_steps}}) return;
    {% endif %}
    team::share(team::parts({{_spikespace}}[{{g.n_source}}] * int64_t({{g.targets_per_spike}}), {{g.n_pieces}}), _deliver);
{% endblock %}
{% block extra_functions_cpp %}
static void _deliver(const int32_t _part, const int32_t _n_parts)
{
    using namespace brian;

    ///// CONSTANTS ///////////
    %CONSTANTS%
    ///// POINTERS ////////////
    {{pointers_lines|autoindent}}

    const int32_t* _spikes = {{_spikespace}};
    const int32_t* _end = _spikes + _spikes[{{g.n_source}}];
    {% if g.by_channel %}
    // In multiples of what a vector register holds.
    const int32_t _from = int64_t({{g.c_out_group}}) * _part / _n_parts / 8 * 8;
    const int32_t _to = _part + 1 < _n_parts ? int64_t({{g.c_out_group}}) * (_part + 1) / _n_parts / 8 * 8 : {{g.c_out_group}};
    {% else %}
    int32_t _top = 0, _bottom = {{g.h_out}};
    if (_n_parts > 1) {
        {% if g.has_source_index %}
        _top = int64_t({{g.h_out}}) * _part / _n_parts;
        _bottom = int64_t({{g.h_out}}) * (_part + 1) / _n_parts;
        {% else %}
        // Spikes come in ascending order, row by row. Each band begins where its share of them does.
        const auto _row_of = [&](const int32_t _k) {
            const int32_t _row = _spikes[(_end - _spikes) * _k / _n_parts] / {{g.c_in * g.w_in}} + {{g.top}};
            return std::min(_row / {{g.stride_rows}}, {{g.h_out}});
        };
        if (_part > 0) _top = _row_of(_part);
        if (_part + 1 < _n_parts) _bottom = _row_of(_part + 1);
        if (_top == _bottom) return;
        const auto _input_at = [](const int64_t _row) { return (_row - {{g.top}}) * {{g.c_in * g.w_in}}; };
        const int64_t _first_input = _input_at(_top * {{g.stride_rows}});
        const int64_t _end_input = _input_at((_bottom - 1) * {{g.stride_rows}} + {{g.reach_rows + 1}});
        _spikes = std::lower_bound(_spikes, _end, _first_input);
        _end = std::lower_bound(_spikes, _end, _end_input);
        {% endif %}
    }
    {% endif %}
    for (; _spikes < _end; _spikes++) {
        const int32_t _source = *_spikes;
        {% if is_graded %}
        const {{real}} _size = {{sent_source}}[_source];
        {% endif %}
        {% if g.has_source_index %}
        const int32_t _input = {{input_of_source}}[_source];
        if (_input < 0) continue;
        {% else %}
        const int32_t _input = _source;
        {% endif %}
        const int32_t _channel = _input % {{g.c_in}};
        const int32_t _row = _input / {{g.c_in * g.w_in}} + {{g.top}};
        const int32_t _column = _input / {{g.c_in}} % {{g.w_in}} + {{g.left}};
        const int32_t _group = _channel / {{g.c_in_group}};
        {% if g.is_disjoint %}
        // No two windows share an input, so there is one at most.
        {
            const int32_t _y = _row / {{g.stride_rows}}, _x = _column / {{g.stride_columns}};
            const int32_t _down = _row % {{g.stride_rows}}, _right = _column % {{g.stride_columns}};
            if ({{ '_y >= ' ~ g.h_out if g.by_channel else '_y < _top || _y >= _bottom' }} || _x >= {{g.w_out}} || _down > {{g.reach_rows}} || _right > {{g.reach_columns}}) continue;
            if (_down % {{g.dilation_rows}} || _right % {{g.dilation_columns}}) continue;
        {% else %}
        // The windows that hold this input: those that start at most a kernel's reach before it.
        {% set least, last = ('0', g.h_out - 1) if g.by_channel else ('_top', '_bottom - 1') %}
        const int32_t _first_row = _row < {{g.reach_rows}} ? {{least}} : std::max({{least}}, (_row - {{g.reach_rows}} + {{g.stride_rows - 1}}) / {{g.stride_rows}});
        const int32_t _last_row = std::min(_row / {{g.stride_rows}}, {{last}});
        const int32_t _first_column = _column < {{g.reach_columns}} ? 0 : (_column - {{g.reach_columns}} + {{g.stride_columns - 1}}) / {{g.stride_columns}};
        const int32_t _last_column = std::min(_column / {{g.stride_columns}}, {{g.w_out - 1}});
        for (int32_t _y = _first_row; _y <= _last_row; _y++)
        {% if g.joins_windows %}
        // All windows of a row at once: their kernel columns, from the last to the first, meet adjacent targets.
        {
            const int32_t _x = _first_column;
        {% else %}
        for (int32_t _x = _first_column; _x <= _last_column; _x++) {
        {% endif %}
            const int32_t _down = _row - _y * {{g.stride_rows}}, _right = _column - _x * {{g.stride_columns}};
            if (_down % {{g.dilation_rows}} || _right % {{g.dilation_columns}}) continue;
        {% endif %}
            const int32_t _n = {{ '(_last_column - _first_column + 1) * ' if g.joins_windows }}{{g.c_out_group}};
            const int32_t _target = (_y * {{g.w_out}} + _x) * {{g.c_out}} + _group * {{g.c_out_group}};
            {% if g.is_max_pool %}
            {% set target = target_of_output ~ '[_target]' if g.has_target_index else '_target' %}
            {% if takes_largest %}
            {% if is_gate %}
            const double _rank = {{n_spikes_source}}[_source] * {{g.n_neurons}}.0 - ({{g.first_source}} + _source);
            {% else %}
            const int32_t _rank = {{n_spikes_source}}[_source];
            {% endif %}
            if (_rank > {{lead_target}}[{{target}}]) {{lead_target}}[{{target}}] = _rank;
            {% else %}
            {{hit_target}}[{{target}}] += {{n_spikes_source}}[_source] + {{count_lag}} > {{n_spikes_target}}[{{target}}];
            {% endif %}
            {% else %}
            {% if g.weight_per_target %}
            const {{real}}* _w = {{weights}} + _target;
            {% else %}
            const int64_t _tap = (_down / {{g.dilation_rows}} * {{g.c_in_group}} + _channel % {{g.c_in_group}}) * {{g.kernel_columns}} + {{g.kernel_columns - 1}} - _right / {{g.dilation_columns}};
            const {{real}}* _w = {{weights}} + _tap * {{g.c_out}} + _group * {{g.c_out_group}};
            {% endif %}
            {% for name in input_names %}{% set input = get_array_name(owner.variables[name]) %}
            {% if g.has_target_index %}
            {% set place = input ~ '[' ~ target_of_output ~ '[_target + _c]]' %}
            {% else %}
            {% set place = '_z' ~ loop.index ~ '[_c]' %}
            {{real}}* __restrict _z{{loop.index}} = {{input}} + _target;
            {% endif %}
            {% if g.by_channel %}
            if (_n_parts > 1)
                for (int32_t _first = 0; _first < _n; _first += {{g.c_out_group}})
                    for (int32_t _c = _first + _from; _c < _first + _to; _c++) {{place}} += _w[_c]{{ ' * _size' if is_graded }};
            else
            {% endif %}
            {% if g.joins_windows %}
            // Away from the border the length is known, and the compiler unrolls the loop.
            if (_n == {{g.kernel_columns * g.c_out}}) for (int32_t _c = 0; _c < {{g.kernel_columns * g.c_out}}; _c++) {{place}} += _w[_c]{{ ' * _size' if is_graded }};
            else
            {% endif %}
            for (int32_t _c = 0; _c < _n; _c++) {{place}} += _w[_c]{{ ' * _size' if is_graded }};
            {% endfor %}
            {% endif %}
        }
    }
}
{% endblock %}
