"""Tests of the nightly run: what only compiles again, or repeats a property on more of the same.

The plain run keeps at least one case of each kind: each backend, projection and reset, each kind of layer, of failure
and of command. ``pytest -m nightly`` runs what is listed here, ``pytest -m "nightly or not campaign"`` both.
"""

import re

#: The file and the name of tests, and which of their cases: all, or those whose brackets match.
LISTED = {
    # Every moment of a replacement; tests/campaign/test_kills.py keeps some of them.
    "test_replacement.py::test_a_process_may_be_killed_at_any_moment": "",
    # Compiled programs of the same loop: two variants stay.
    "test_membrane.py::test_a_run_in_mv_is_that_of_a_brian2_neuron_in_mv": "zero",
    "test_bench.py::TestCompiled": "",
    "test_narrow.py::test_the_compiled_simulation_is_the_same": "wrap",
    "test_adjust.py::test_a_compiled_run_equals_the_loop": "",
    "test_brian2_model.py::test_other_devices_spike_as_simulate_says": "",
    "test_simulate.py::test_compiled_processes_share_the_cores_with_one_blas_thread": "",
    "test_variants.py::test_compiled_run_equals_the_loop": "synapses",
    "test_graded.py::test_compiled_run_equals_the_loop": "synapses",
    "test_float32.py::test_compiled_run_equals_the_loop_in_float64": "synapses",
    "test_dynamics.py::test_float32_is_replayed_in_float64": "",
    "test_frames.py::test_compiled_frames_are_those_of_the_process": "synapses",
    "test_build.py::test_other_settings_have_those_too": "",
    "test_build.py::test_every_kind_of_output_says_what_a_result_says": "",
    "test_build.py::test_explicit_synapses_have_them_too": "",
    "test_own_neurons.py::test_compiled_layers_leak_as_those_of_the_process": "",
    "test_c_twin.py::test_the_compiled_simulation": "",
    # Kills and pieces of the campaign; test_run_folder.py has some of each.
    "campaign/test_sweep_kills.py::test_a_moment_of_a_sweep": "",
    "campaign/test_determinism.py::test_some_pieces": "",
    "campaign/test_determinism.py::test_some_orders": "",
    "campaign/test_networks.py::test_some_maps_run_under_the_sanitisers_to_the_same_spikes": "",
    "campaign/test_files.py::test_the_good_file_is_read_and_damaged_ones_are_read_or_refused": r"^(?!keras|np|run_s)",
    "campaign/test_kills.py::test_a_moment_of_a_run": "^(?!replacing)",
    "campaign/test_full_disks.py::test_few_open_files": "",
    "test_shared.py::test_compiled_kernels_spike_as_synapses_do": "",
    "end_to_end/test_against_oracle.py::test_compiled_models_spike_as_the_oracle_does": "plain",
    "end_to_end/test_against_oracle.py::test_hand_picked_models_spike_as_the_oracle_does": "plain",
    "end_to_end/test_against_oracle.py::test_more_random_architectures_spike_as_the_oracle_does": "",
    "end_to_end/test_against_oracle.py::test_channel_normalised_models_spike_as_the_oracle_does": "norm|odd",
    "end_to_end/test_account.py::test_keras_models_are_accounted_for_and_within_their_bounds": "relu|odd.*1$",
    "end_to_end/test_verify.py::test_what_folds_holds_exactly_with_both_projections": r"^[d-z]",
    "end_to_end/test_backends.py": "subtraction",
    "end_to_end/test_state.py": "standalone",
    "test_softmax.py::test_a_neuron_is_chosen_with_the_probability_of_the_softmax": r"1\.75",
    "test_callbacks.py::test_an_error_of_the_progress_is_no_error_of_the_simulation": "standalone",
    "test_pixel_range.py::test_bench_has_the_option": "",
    "end_to_end/test_verify.py::test_compiled_results_hold_exactly": "",
    "end_to_end/test_backends.py::test_two_workers_give_what_one_gives": "",
    "test_simulate.py::test_compiled_run_equals_the_loop": "",
    "test_threads.py::test_no_number_of_threads_changes_a_bit": r"^(?!plain)",
    "test_cluster.py::test_a_client_that_is_closed_meanwhile_is_an_error_that_says_so": "",
    "test_rendering.py::test_what_gets_past_the_records_is_not_written_into_a_program": r"^values[1-9]",
    "test_cli.py::TestSimulate::test_it_ends_as_after_ctrl_c": "15",
    # More architectures and figures of the same kind.
    "test_keras_reader.py::test_deep_networks_agree_with_keras": r"^(?!mobilenet$)",
    "test_figures.py::TestCommand::test_a_small_run_draws_it": r"^(?!(rate_laws|error_account))",
    "test_variants_figure.py::test_a_variant_is_counted_as_its_own_run_says": r"^(refractory|synaptic|Poisson|output)",
    "test_biophysics_figure.py::test_a_run_is_counted_as_a_simulation_in_one_piece_says": r"^(?!membrane noise|delay)",
    "test_normalise.py::test_normalised_network_agrees_with_keras": "channel",
    "test_names.py::test_whatever_layers_are_called_they_convert_simulate_and_verify": r"^(?!(an arrow|the im|numb))",
    "test_dynamics.py::test_every_variant_is_replayed_exactly": "-end$",
    "test_variant_analysis.py::test_origins_add_up_to_the_error": "zero",
    "test_answers.py::test_a_certain_answer_is_that_of_the_end": r"^options[1-9]",
    "test_answers_in_commands.py::test_simulate_and_the_report_show_both_accuracies_or_none": r"^(?!labels)",
    "test_fold.py::test_every_population_is_what_its_layer_predicts": r"^[m-z]",
    "test_keras_reader.py::test_references_in_both_precisions_are_the_same": r"^[m-z]",
    "test_figures.py::test_the_script_draws_the_stored_results": r"^(?!(rate_laws|accuracy))",
    "test_heads.py::test_each_output_has_a_readout_that_comes_to_what_keras_says": r"^(maps|used)",
    "test_referee_rules.py::test_the_number_of_a_rule_is_found": r"^with a reset-(?!leak)",
    "test_referee_rules.py::test_flipped_bits_follow_no_rule": r"^[12]",
    "test_escaping.py::test_what_nobody_foresaw_is_one_line": r"^(?!Mem)",
    "test_rendering.py::test_no_text_of_a_file_is_in_the_program_that_is_made_of_it": r"^options[12]",
    "test_streams.py::test_closed_streams_are_no_error": r"^(>&-|<&-|2>&-)$",
    "test_archive.py::test_what_the_structure_does_not_name_is_not_read": "txt|99",
    "test_model_files.py::test_a_saved_model_comes_back": r"hdf5$",
    "test_fold.py::test_output_is_that_of_predict": r"^[m-z]",
    "test_inputs.py::test_an_onnx_model_of_two_inputs": r"^11-[13]",
    "test_keras_settings.py::test_defaults_of_keras_do_not_change_a_conversion": r"^float(32|64)-(norm|inc)",
    "test_memory.py::test_verification_and_report_of_many_images_take_as_much_as_of_few": "report",
    # Builds again, damaged in one more way.
    "test_build_cache.py::test_what_a_killed_build_left_behind_does_no_harm": "",
    "test_build_cache.py::test_a_damaged_build_is_made_again": r"^half",
    "test_build_cache.py::test_a_build_of_an_older_format_is_made_again": "",
    "test_build_cache.py::test_an_array_of_the_wrong_size_is_an_error": "",
    "test_build_cache.py::test_a_simulation_runs_with_a_relative_cache": "",
    "test_build_cache.py::test_cxx_may_be_a_command_of_several_words": "",
    "test_build_cache.py::test_what_a_loader_says_on_the_standard_error_is_no_failure": "",
    "test_trust.py::test_a_build_is_read_by_those_who_read_the_cache_and_written_by_nobody": "",
    "test_limits.py::test_a_simulation_that_cannot_be_started_is_not_the_fault_of_the_disk": "thread",
    "test_tune.py::test_the_example_of_the_guide_runs": "",
    "test_keras_settings.py::test_settings_with_which_keras_cannot_compute_are_refused_in_one_line": r"backend|flo|^\[",
    "test_keras_settings.py::test_another_backend_is_refused_in_one_line": "jax|numpy|openvino|theano",
    "test_own_folder.py::test_what_a_process_left_that_was_killed_while_it_began_is_begun_anew": "",
}


def is_nightly(nodeid: str) -> bool:
    """Whether a test is one of the nightly run, by its node ID."""
    path, _, case = nodeid.removeprefix("tests/").partition("[")
    for name, cases in LISTED.items():
        if path == name or path.startswith(f"{name}::"):
            return re.search(cases, case.removesuffix("]")) is not None
    return False
