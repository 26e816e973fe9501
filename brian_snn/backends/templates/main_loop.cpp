{#
The loop over shards of images, inserted into the main() of Brian2's standalone project by `brian_snn.backends.codegen`.

Working directory: the build. brian::results_dir: the process's own folder, with plan.txt. It holds whole numbers: threads,
the least work of one (see team.h), steps, n_stops, and for each stop: step, number of populations to snapshot, their positions. Stops are in ascending order and
lie before the last step or on it.

Each line of the standard input is a shard: its number of images, and its folder, which holds the input currents and the
random input. What is written there is described by `brian_snn.simulation.records`. The standard output says "ready"
when the build is needed no more, "image" after each image and "shard" after each shard, when all of it is on disk. The
process ends with its input.
#}
{
    const auto stop_with = [](const std::string& message) { std::cerr << message << std::endl; std::exit(3); };

    {% include "end_of_reading.cpp" %}
    std::cout << "ready" << std::endl;

    std::ifstream plan(brian::results_dir + "plan.txt");
    long n_threads = 1, least_work = 1, steps = 0, n_stops = 0;
    plan >> n_threads >> least_work >> steps >> n_stops;
    std::vector<long> stops(n_stops);
    std::vector<std::vector<int>> snapshots(n_stops);
    for (long s = 0; s < n_stops; s++) {
        size_t n_snapshots = 0;
        plan >> stops[s] >> n_snapshots;
        snapshots[s].resize(n_snapshots);
        for (auto& position : snapshots[s]) plan >> position;
    }
    if (!plan) stop_with("cannot read plan.txt");
    try {
        team::start(n_threads, least_work);
    } catch (const std::system_error& error) {
        stop_with("cannot start " + std::to_string(n_threads) + " threads (" + error.what() + "); ask for fewer");
    }

    const auto write = [&](std::ofstream& file, const void* data, size_t n_bytes) {
        file.write(static_cast<const char*>(data), n_bytes);
        if (!file) stop_with("cannot write results (is the disk full?)");
    };

    const double dt = {{dt}}[0];
    {% for layer in layers if layer.noise_vector %}
    {{layer.noise_vector}}.resize(steps * {{layer.size}});
    {% endfor %}

    long n_images = 0;
    std::string shard;
    while (std::cin >> n_images && std::getline(std::cin >> std::ws, shard)) {
        std::ofstream out(shard + "/images.bin", std::ios::binary);
        {% for layer in layers if layer.noise_vector or layer.stream %}
        std::ifstream noise_{{layer.position}}(shard + "/noise_{{layer.position}}.bin", std::ios::binary);
        {% endfor %}
        {% for layer in layers if layer.sees_image %}
        std::ifstream currents_{{layer.position}}(shard + "/current_{{layer.position}}.bin", std::ios::binary);
        {% endfor %}
        {% for layer in layers %}
        {% if layer.spike_monitor %}
        std::ofstream spikes_{{layer.position}}(shard + "/spikes_{{layer.position}}.bin", std::ios::binary);
        {% endif %}
        {% if layer.state_monitor %}
        std::ofstream trace_{{layer.position}}(shard + "/trace_{{layer.position}}.bin", std::ios::binary);
        {% endif %}
        {% endfor %}

        for (long image = 0; image < n_images; image++) {
            {% include "start_image.cpp" %}
            {% for layer in layers %}
            {% if layer.sees_image and not layer.sees_frames %}
            currents_{{layer.position}}.read(reinterpret_cast<char*>({{layer.current}}), {{layer.size}} * sizeof({{layer.float_type}}));
            if (!currents_{{layer.position}}) stop_with("cannot read the input currents");
            {% endif %}
            {% if layer.noise_vector %}
            noise_{{layer.position}}.read(reinterpret_cast<char*>({{layer.noise_vector}}.data()), steps * {{layer.size}} * sizeof(double));
            {% elif layer.stream %}
            noise_{{layer.position}}.read(reinterpret_cast<char*>({{layer.stream}}), sizeof(double));
            {% endif %}
            {% if layer.noise_vector or layer.stream %}
            if (!noise_{{layer.position}}) stop_with("cannot read the random input");
            {% endif %}
            {% endfor %}

            long step = 0;
            for (long s = 0; s <= n_stops; s++) {
                const long next = s < n_stops ? stops[s] : steps;
                while (step < next) {
                    {% if frames %}
                    {% for layer in layers if layer.sees_frames %}
                    currents_{{layer.position}}.read(reinterpret_cast<char*>({{layer.current}}), {{layer.size}} * sizeof({{layer.float_type}}));
                    if (!currents_{{layer.position}}) stop_with("cannot read the frames");
                    {% endfor %}
                    const long until = step + 1;
                    {% else %}
                    const long until = next;
                    {% endif %}
                    {{network}}.run((until - step) * dt, NULL, 10.0);
                    if (Network::_globally_stopped) std::exit(130);
                    step = until;
                }
                if (s == n_stops) break;
                {% for layer in layers if layer.n_spikes %}
                {
                    const int64_t total = std::accumulate({{layer.n_spikes}}, {{layer.n_spikes}} + {{layer.size}}, int64_t(0));
                    write(out, &total, sizeof total);
                }
                {% endfor %}
                {% for name, size, type in readout %}
                write(out, {{name}}, {{size}} * sizeof({{type}}));
                {% endfor %}
                for (const int position : snapshots[s]) {
                    {% for layer in layers if layer.n_spikes %}
                    if (position == {{layer.position}}) write(out, {{layer.n_spikes}}, {{layer.size}} * sizeof(int32_t));
                    {% endfor %}
                }
            }
            {% for layer in layers %}
            {% for name, type in layer.outputs %}
            write(out, {{name}}, {{layer.size}} * sizeof({{type}}));
            {% endfor %}
            {% if layer.spike_monitor %}
            {
                const int64_t n_spikes = {{layer.spike_monitor.i}}.size();
                write(spikes_{{layer.position}}, &n_spikes, sizeof n_spikes);
                write(spikes_{{layer.position}}, {{layer.spike_monitor.i}}.data(), n_spikes * sizeof(int32_t));
                write(spikes_{{layer.position}}, {{layer.spike_monitor.t}}.data(), n_spikes * sizeof(double));
                {% if layer.graded %}
                write(spikes_{{layer.position}}, {{layer.spike_monitor.size}}.data(), n_spikes * sizeof(int32_t));
                {{layer.spike_monitor.size}}.clear();
                {% endif %}
                {{layer.spike_monitor.i}}.clear();
                {{layer.spike_monitor.t}}.clear();
                {{layer.spike_monitor.n}}[0] = 0;
            }
            {% endif %}
            {% if layer.state_monitor %}
            for (long row = 0; row < steps; row++)
                write(trace_{{layer.position}}, &{{layer.state_monitor.v}}(static_cast<size_t>(row), static_cast<size_t>(0)), {{layer.size}} * sizeof(*{{layer.v}}));
            {{layer.state_monitor.t}}.clear();
            {{layer.state_monitor.n}}[0] = 0;
            {% endif %}
            {% endfor %}
            std::cout << "image" << std::endl;
        }
        out.close();
        {% for layer in layers %}
        {% if layer.spike_monitor %}
        spikes_{{layer.position}}.close();
        if (!spikes_{{layer.position}}) stop_with("cannot write results (is the disk full?)");
        {% endif %}
        {% if layer.state_monitor %}
        trace_{{layer.position}}.close();
        if (!trace_{{layer.position}}) stop_with("cannot write results (is the disk full?)");
        {% endif %}
        {% endfor %}
        if (!out) stop_with("cannot write results (is the disk full?)");
        std::cout << "shard" << std::endl;
    }
    // Brian2 would now write every array of the network, synapses and all; what matters has been written.
    std::exit(0);
}
