// Every operation of the ABI, with the name of its arguments; included where a list is needed.
// First those that multiply matrices, or whose operands lie as products read them.
PANTOUM_OPERATION(pack, pantoum_pack_args)
PANTOUM_OPERATION(quantize, pantoum_quantize_args)
PANTOUM_OPERATION(pack_codes, pantoum_pack_codes_args)
PANTOUM_OPERATION(product, pantoum_product_args)
PANTOUM_OPERATION(weight_gradient, pantoum_weight_gradient_args)
PANTOUM_OPERATION(scan, pantoum_scan_args)
PANTOUM_OPERATION(scan_vjp, pantoum_scan_vjp_args)
PANTOUM_OPERATION(softmax, pantoum_softmax_args)
PANTOUM_OPERATION(losses, pantoum_losses_args)
PANTOUM_OPERATION(muon, pantoum_muon_args)
PANTOUM_OPERATION(step, pantoum_step_args)
// Those of vectors alone, which are not compiled again for a path that has the vectors of another one.
#ifndef PANTOUM_VECTOR_OPERATION
#define PANTOUM_VECTOR_OPERATION PANTOUM_OPERATION
#endif
PANTOUM_VECTOR_OPERATION(bias_gradient, pantoum_bias_gradient_args)
PANTOUM_VECTOR_OPERATION(lookup_gradient, pantoum_lookup_gradient_args)
PANTOUM_VECTOR_OPERATION(lookup_sum, pantoum_lookup_sum_args)
PANTOUM_VECTOR_OPERATION(sum_uses, pantoum_sum_uses_args)
PANTOUM_VECTOR_OPERATION(rms_rows, pantoum_rms_rows_args)
PANTOUM_VECTOR_OPERATION(dropout, pantoum_dropout_args)
PANTOUM_VECTOR_OPERATION(frequencies, pantoum_frequencies_args)
PANTOUM_VECTOR_OPERATION(mix_counts, pantoum_mix_counts_args)
PANTOUM_VECTOR_OPERATION(read_contexts, pantoum_read_contexts_args)
PANTOUM_VECTOR_OPERATION(context_probabilities, pantoum_context_probabilities_args)
PANTOUM_VECTOR_OPERATION(decide_context, pantoum_decide_context_args)
PANTOUM_VECTOR_OPERATION(sum_of_squares, pantoum_sum_of_squares_args)
PANTOUM_VECTOR_OPERATION(adamw, pantoum_adamw_args)
PANTOUM_VECTOR_OPERATION(average, pantoum_average_args)
PANTOUM_VECTOR_OPERATION(row_squares, pantoum_row_squares_args)
PANTOUM_VECTOR_OPERATION(adapt, pantoum_adapt_args)
PANTOUM_VECTOR_OPERATION(sample, pantoum_sample_args)
#undef PANTOUM_OPERATION
#undef PANTOUM_VECTOR_OPERATION
