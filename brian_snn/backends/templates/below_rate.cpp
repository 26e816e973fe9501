{#
Chooses every neuron whose draw, times the sum of all powers, lies below its own power: see `brian_snn.neurons.softmax`.
The draws of an image are read before it, one row a step.

USES_VARIABLES { v, v_thr, noise, chosen, clamp_steps, t_in_timesteps }
#}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if ({{t_in_timesteps}} < {{clamp_steps}}) return;
    static const double _factors[] = { {{factors | join(", ")}} };
    static double _powers[{{size}}];
    const double* _row = {{noise}} + int64_t({{t_in_timesteps}}) * {{size}};
    const double _highest = *std::max_element({{v}}, {{v}} + {{size}});
    double _sum = 0;
    for (int32_t _k = 0; _k < {{size}}; _k++) {
        const double _distance = (_highest - {{v}}[_k]) / {{v_thr}};
        _powers[_k] = 0;
        if (_distance < 32) {
            int64_t _units = std::rint(_distance * 16777216.0);
            double _power = _units < 536870912 ? 1 : 0;
            for (int _bit = 0; _units; _units >>= 1, _bit++)
                if (_units & 1 && _bit < 29) _power *= _factors[_bit];
            _powers[_k] = std::rint(_power * 4294967296.0) / 4294967296.0;
        }
        _sum += _powers[_k];
    }
    for (int32_t _k = 0; _k < {{size}}; _k++)
        if (_row[_k] * _sum < _powers[_k]) {{chosen}}[_k] = 1;
{% endblock %}
