{#
Puts every neuron and the clock back to the start of an image; included by the loops over images.
#}
{% for layer in layers %}
{% for name in layer.zeroed %}
std::fill({{name}}, {{name}} + {{layer.size}}, 0);
{% endfor %}
{% if layer.v %}
std::fill({{layer.v}}, {{layer.v}} + {{layer.size}}, {{layer.v_start}}[0]);
{% endif %}
{% endfor %}
{{timestep}}[0] = 0;
{{time}}[0] = 0;
{{network}}.t = 0;
