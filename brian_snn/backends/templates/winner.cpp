{#
Chooses the neuron with the largest sum of potential and noise, the first of several; none where the noise is minus
infinity. The noise of an image is read before it, one row a step.

USES_VARIABLES { v, noise, chosen, clamp_steps, t_in_timesteps }
#}
{% extends 'common_group.cpp' %}
{% block maincode %}
    if ({{t_in_timesteps}} < {{clamp_steps}}) return;
    const double* _row = {{noise}} + int64_t({{t_in_timesteps}}) * {{size}};
    if (!std::isfinite(_row[0])) return;
    int32_t _winner = 0;
    for (int32_t _k = 1; _k < {{size}}; _k++)
        if ({{v}}[_k] + _row[_k] > {{v}}[_winner] + _row[_winner]) _winner = _k;
    {{chosen}}[_winner] = 1;
{% endblock %}
