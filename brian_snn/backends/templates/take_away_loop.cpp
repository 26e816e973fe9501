{#
What is done with an image, inserted into the main() of a program to take away. `take_away::Program` loops over images:
it computes their currents, and writes or compares what is noted here.
#}
{
    {% include "end_of_reading.cpp" %}
    std::exit(program.run([&](int64_t steps, uint64_t number, const take_away::Currents& currents, take_away::Measured& measured) {
        {% include "start_image.cpp" %}
        {% for layer in layers if layer.sees_image %}
        // Multiples of the grid in the exact range of their type: nothing is rounded.
        std::copy_n(currents.of({{layer.position}}).begin(), {{layer.size}}, {{layer.current}});
        {% endfor %}
        {% for layer in layers if layer.stream %}
        {{layer.stream}}[0] = currents.key_of({{layer.position}}, number);
        {% endfor %}
        {{network}}.run(steps * {{dt}}[0], NULL, 10.0);
        {% for layer in layers %}
        {% if layer.n_spikes %}
        measured.spikes[{{layer.position}}].assign({{layer.n_spikes}}, {{layer.n_spikes}} + {{layer.size}});
        {% endif %}
        {% if layer.v %}
        measured.potentials[{{layer.position}}].assign({{layer.v}}, {{layer.v}} + {{layer.size}});
        {% endif %}
        {% endfor %}
        return !Network::_globally_stopped;
    }));
}
