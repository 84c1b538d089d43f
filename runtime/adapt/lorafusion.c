// SPDX-License-Identifier: MIT
/*
 * LoRAFusion (10.1145/3716368.3735213): coefficients and magnitudes trained by reads alone.
 *
 * Forward, one adapted layer: h = W0 x + B c(A x), y = m / n * h + bias, where c() is the fusion of the stacked modules.
 * Backward, with g = m / n * dy and v_i = B_i^T g, z_i = A_i x (the modules' scales are in B):
 *	dm = sum_t dy h / n
 *	sum of products:  dc_i = <v_i, z_i>
 *	product of sums:  dc_i = <v_i, u> + <v, z_i>, u = sum_j c_j z_j, v = sum_j c_j v_j
 *	dx = W0^T g + A^T c(B^T g)
 * The norm n is held fixed in the gradient, as DoRA does (2402.09353, section 4.3). Without magnitudes g = dy, and there is no norm.
 *
 * What is not read: the A columns of a module that is switched off get the scale 0 and its B rows the factor 0, which a device neither converts nor
 * drives. Its coefficient is then 0 and stays so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/adapt/fusion.h"
#include "runtime/adapt/random.h"
#include "runtime/simd/number.h"

static struct fusion *fusion_of(const struct lf_method *method)
{
	return (struct fusion *)method;
}

/* Computes the terms of the norms, which a method that is only restored never needs. */
static int make_norms(struct fusion *fusion, struct lf_error *error)
{
	struct lf_encoder *encoder = fusion->method.encoder;
	int ret = 0;

	for (uint32_t at = 0; !ret && at < fusion->pool->site_count; at++) {
		struct fusion_site *site = &fusion->sites[at];
		const struct lf_linear *linear = &encoder->linears[site->pool->index];
		float *weight;

		if (site->norms)
			continue;
		weight = malloc((size_t)linear->inputs * linear->outputs * sizeof(*weight));
		if (!weight)
			return lf_error_set(error, -ENOMEM, "no memory for row norms");
		ret = lf_encoder_weight(encoder, site->pool->index, weight, error);
		if (!ret)
			ret = lf_norms_create(&site->norms, site->pool, weight,
					      fusion->pool->modules, fusion->pool->rank,
					      fusion->options.merge, encoder->simd,
					      encoder->parallel, error);
		free(weight);
	}
	return ret;
}

static int evaluate_norms(struct fusion *fusion, struct lf_error *error)
{
	const float *coefficients = fusion->method.groups[FUSION_COEFFICIENTS].values;
	int ret = make_norms(fusion, error);

	for (uint32_t at = 0; !ret && at < fusion->pool->site_count; at++) {
		const struct fusion_site *site = &fusion->sites[at];

		lf_norms_evaluate(site->norms, coefficients + fusion_first(fusion, site->block),
				  fusion->norms + site->magnitudes);
	}
	return ret;
}

/*
 * Coefficients by Xavier's rule on an N x L matrix, L being 1 where all blocks share them; magnitudes so that m / n is 1 at the
 * start.
 */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	struct fusion *fusion = fusion_of(method);
	struct lf_parameters *coefficients = &method->groups[FUSION_COEFFICIENTS];
	size_t columns = coefficients->count / fusion->pool->modules;
	struct lf_random random;
	double bound = 6.0 / (double)(fusion->pool->modules + columns);
	int ret;

	lf_random_seed(&random, seed, LF_RANDOM_START, 0);
	for (size_t at = 0; at < coefficients->count; at++)
		coefficients->values[at] = lf_random_uniform(&random, number_root((float)bound));
	memset(fusion->held, 0, coefficients->count * sizeof(*fusion->held));
	if (fusion->options.without_magnitudes)
		return 0;
	ret = evaluate_norms(fusion, error);
	if (!ret)
		memcpy(method->groups[FUSION_MAGNITUDES].values, fusion->norms,
		       method->groups[FUSION_MAGNITUDES].count * sizeof(float));
	/* A caller may still put other parameters in their place. */
	fusion->norms_known = false;
	return ret;
}

/* A coefficient that nothing moves from 0 is not worth a read. */
static bool is_read(const struct fusion *fusion, size_t coefficient)
{
	const struct lf_parameters *group = &fusion->method.groups[FUSION_COEFFICIENTS];

	return fusion->held[coefficient] == 0.0f &&
	       (group->learning_rate > 0.0 || group->values[coefficient] != 0.0f);
}

/* Scales of A and factors of B. */
static void select_modules(struct fusion *fusion, struct fusion_site *site)
{
	size_t first = fusion_first(fusion, site->block), rank = fusion->pool->rank;
	const struct lf_linear *a = &site->pool->a;
	const float *scales = a->scale.space == LF_VIEW_NONE ? NULL : lf_view_data(a->scale);
	float *a_scale = lf_view_data(site->a_scale), *b_factor = lf_view_data(site->b_factor);

	site->read = 0;
	for (uint32_t module = 0; module < fusion->pool->modules; module++) {
		bool read = is_read(fusion, first + module);

		site->read += read;
		for (size_t k = module * rank; k < (module + 1) * rank; k++) {
			a_scale[k] = !read ? 0.0f : scales ? scales[k] : 1.0f;
			b_factor[k] = read ? 1.0f : 0.0f;
		}
	}
}

/* m / n of a layer and 1 / n. */
static void make_factors(struct fusion *fusion, const struct fusion_site *site)
{
	const float *magnitudes = fusion->method.groups[FUSION_MAGNITUDES].values;
	float *factor = lf_view_data(site->factor);

	for (size_t o = site->magnitudes; o < site->magnitudes + site->pool->b.outputs; o++) {
		fusion->inverse[o] = 1.0f / fusion->norms[o];
		*factor++ = magnitudes[o] / fusion->norms[o];
	}
}

/* Hands coefficients and factors to the device. */
static int prepare(struct lf_method *method, struct lf_error *error)
{
	struct fusion *fusion = fusion_of(method);
	struct lf_parameters *coefficients = &method->groups[FUSION_COEFFICIENTS];
	int ret = 0;

	/* Moments of an optimiser may have moved what is zero for good. */
	for (size_t at = 0; at < coefficients->count; at++)
		if (fusion->held[at] != 0.0f)
			coefficients->values[at] = 0.0f;
	if (!fusion->options.without_magnitudes && !fusion->norms_known)
		ret = evaluate_norms(fusion, error);
	if (ret)
		return ret;
	for (uint32_t at = 0; at < fusion->pool->site_count; at++) {
		struct fusion_site *site = &fusion->sites[at];

		memcpy(lf_view_data(site->coefficients),
		       coefficients->values + fusion_first(fusion, site->block),
		       fusion->pool->modules * sizeof(float));
		select_modules(fusion, site);
		if (!fusion->options.without_magnitudes)
			make_factors(fusion, site);
	}
	/* The next step changes the parameters. */
	fusion->norms_known = false;
	return 0;
}

void lf_lorafusion_set(struct lf_method *method, const float *coefficients)
{
	struct fusion *fusion = fusion_of(method);
	struct lf_parameters *group = &method->groups[FUSION_COEFFICIENTS];
	size_t modules = fusion->pool->modules;

	for (size_t at = 0; at < group->count; at++)
		group->values[at] = coefficients[at % modules];
	memset(fusion->held, 0, group->count * sizeof(*fusion->held));
	fusion->norms_known = false;
}

static float magnitude_of(float value)
{
	return value < 0.0f ? -value : value;
}

static void hold(struct fusion *fusion, size_t coefficient)
{
	fusion->held[coefficient] = 1.0f;
	fusion->method.groups[FUSION_COEFFICIENTS].values[coefficient] = 0.0f;
	fusion->norms_known = false;
}

void lf_lorafusion_prune(struct lf_method *method, double share)
{
	struct fusion *fusion = fusion_of(method);
	const struct lf_parameters *group = &method->groups[FUSION_COEFFICIENTS];
	size_t wanted = (size_t)(share * (double)group->count), held = 0;

	for (size_t at = 0; at < group->count; at++)
		held += fusion->held[at] != 0.0f;
	/* What is held counts among the smallest; of equal ones the first goes. */
	for (; held < wanted; held++) {
		size_t least = SIZE_MAX;

		for (size_t at = 0; at < group->count; at++)
			if (fusion->held[at] == 0.0f &&
			    (least == SIZE_MAX ||
			     magnitude_of(group->values[at]) < magnitude_of(group->values[least])))
				least = at;
		hold(fusion, least);
	}
}

void lf_lorafusion_switch_off(struct lf_method *method, double share)
{
	struct fusion *fusion = fusion_of(method);
	const struct lf_parameters *group = &method->groups[FUSION_COEFFICIENTS];
	size_t modules = fusion->pool->modules;

	for (size_t first = 0; first < group->count; first += modules) {
		float largest = 0.0f;

		for (size_t at = first; at < first + modules; at++)
			if (magnitude_of(group->values[at]) > largest)
				largest = magnitude_of(group->values[at]);
		for (size_t at = first; at < first + modules; at++)
			if (magnitude_of(group->values[at]) < (float)share * largest)
				hold(fusion, at);
	}
}

uint32_t lf_lorafusion_modules_read(const struct lf_method *method, uint32_t *all)
{
	const struct fusion *fusion = (const struct fusion *)method;
	uint32_t read = 0, blocks = 0, last = UINT32_MAX;

	for (uint32_t at = 0; at < fusion->pool->site_count; at++) {
		const struct fusion_site *site = &fusion->sites[at];
		size_t first = fusion_first(fusion, site->block);

		/* Sites are in the order of their blocks, and those of a block read the same. */
		if (site->block == last)
			continue;
		last = site->block;
		blocks++;
		for (uint32_t module = 0; module < fusion->pool->modules; module++)
			read += is_read(fusion, first + module);
	}
	if (all)
		*all = blocks * fusion->pool->modules;
	return read;
}

static void halfway(struct lf_method *method)
{
	const struct lf_lorafusion_options *options = &fusion_of(method)->options;

	if (options->prune > 0.0)
		lf_lorafusion_prune(method, options->prune);
	if (options->switch_off > 0.0)
		lf_lorafusion_switch_off(method, options->switch_off);
}

static bool may_hold(const struct fusion *fusion)
{
	return fusion->options.prune > 0.0 || fusion->options.switch_off > 0.0;
}

static uint32_t derived(const struct lf_method *method, struct lf_checkpoint_tensor *tensors)
{
	const struct fusion *fusion = (const struct fusion *)method;
	uint32_t count = 0;

	if (!fusion->options.without_magnitudes)
		tensors[count++] =
			lf_norms_tensor(fusion->norms, method->groups[FUSION_MAGNITUDES].count);
	if (may_hold(fusion))
		tensors[count++] = (struct lf_checkpoint_tensor){
			.name = "held",
			.rank = 1,
			.shape = { method->groups[FUSION_COEFFICIENTS].count },
			.values = fusion->held,
		};
	return count;
}

static int restored(struct lf_method *method, struct lf_error *error)
{
	struct fusion *fusion = fusion_of(method);

	for (size_t at = 0; at < method->groups[FUSION_COEFFICIENTS].count; at++)
		if (fusion->held[at] != 0.0f && fusion->held[at] != 1.0f)
			return lf_error_set(error, -EINVAL, "held: number %zu is neither 0 nor 1",
					    at);
	if (fusion->options.without_magnitudes)
		return 0;
	fusion->norms_known = true;
	return lf_norms_check(fusion->norms, method->groups[FUSION_MAGNITUDES].count, error);
}

static void destroy(struct lf_method *method)
{
	struct fusion *fusion = fusion_of(method);

	for (uint32_t at = 0; fusion->sites && at < fusion->pool->site_count; at++)
		lf_norms_free(fusion->sites[at].norms);
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++)
		lf_buffer_destroy(fusion->lanes[lane]);
	lf_buffer_destroy(fusion->constants);
	free(fusion->sites);
	free(fusion->site_of);
	free(fusion->norms);
	free(fusion->inverse);
	free(fusion->held);
	free(fusion->traces);
	free(fusion);
}

/* The coefficients of a block are those of its first layer, and so are those of all blocks. */
static size_t share(const struct lf_method *method, uint32_t group, uint32_t index)
{
	const struct fusion *fusion = fusion_of(method);
	uint32_t at = fusion->site_of[index];
	bool shared = fusion->options.coefficients == LF_COEFFICIENTS_MODEL;

	if (group == FUSION_MAGNITUDES)
		return fusion->sites[at].pool->b.outputs;
	if (at && (shared || fusion->sites[at - 1].block == fusion->sites[at].block))
		return 0;
	return fusion->pool->modules;
}

static const struct lf_method_ops method_ops = {
	.name = "lorafusion",
	.share = share,
	.start = start,
	.prepare = prepare,
	.halfway = halfway,
	.derived = derived,
	.restored = restored,
	.destroy = destroy,
};

/* Lays a [tokens][width] array out in a lane's buffer. */
static struct lf_view place(struct lf_buffer *buffer, uint64_t *offset, uint32_t tokens,
			    uint32_t width)
{
	uint32_t stride = width * (uint32_t)sizeof(float);
	struct lf_view view = lf_view_buffer(buffer, *offset, stride);

	*offset += (uint64_t)stride * tokens;
	return view;
}

/* One buffer a lane holds what all layers keep from the forward pass to the backward pass. */
static int make_traces(struct fusion *fusion, struct lf_error *error)
{
	struct lf_encoder *encoder = fusion->method.encoder;
	uint32_t tokens = encoder_lane_tokens(encoder);
	uint32_t width = fusion->pool->modules * fusion->pool->rank;
	bool magnitudes = !fusion->options.without_magnitudes;
	uint64_t bytes = 0;

	for (uint32_t at = 0; at < fusion->pool->site_count; at++)
		bytes += (uint64_t)tokens *
			 (2 * width + (magnitudes ? fusion->pool->sites[at].b.outputs : 0)) *
			 sizeof(float);
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++) {
		struct fusion_trace *trace = &fusion->traces[lane * fusion->pool->site_count];
		uint64_t offset = 0;
		int ret = lf_buffer_create(encoder->device, bytes, &fusion->lanes[lane], error);

		if (ret)
			return ret;
		for (uint32_t at = 0; at < fusion->pool->site_count; at++, trace++) {
			trace->z = place(fusion->lanes[lane], &offset, tokens, width);
			trace->v = place(fusion->lanes[lane], &offset, tokens, width);
			if (magnitudes)
				trace->h = place(fusion->lanes[lane], &offset, tokens,
						 fusion->pool->sites[at].b.outputs);
		}
	}
	return 0;
}

/* A row of the constants. */
static struct lf_view constant(struct lf_buffer *buffer, uint64_t *offset, size_t count)
{
	struct lf_view view = lf_view_buffer(buffer, *offset, 0);

	*offset += count * sizeof(float);
	return view;
}

static int make_sites(struct fusion *fusion, struct lf_error *error)
{
	struct lf_encoder *encoder = fusion->method.encoder;
	uint32_t sites = fusion->pool->site_count, modules = fusion->pool->modules;
	size_t width = (size_t)modules * fusion->pool->rank, magnitudes = 0;
	uint64_t offset = 0;
	int ret;

	for (uint32_t at = 0; at < sites; at++)
		magnitudes += fusion->pool->sites[at].b.outputs;
	ret = lf_buffer_create(encoder->device,
			       (magnitudes + sites * (modules + 2 * width)) * sizeof(float),
			       &fusion->constants, error);
	if (ret)
		return ret;
	magnitudes = 0;
	for (uint32_t at = 0; at < sites; at++) {
		struct fusion_site *site = &fusion->sites[at];

		site->pool = &fusion->pool->sites[at];
		site->block = site->pool->index / LF_BLOCK_LINEARS;
		site->magnitudes = magnitudes;
		site->coefficients = constant(fusion->constants, &offset, modules);
		site->factor = constant(fusion->constants, &offset, site->pool->b.outputs);
		site->a_scale = constant(fusion->constants, &offset, width);
		site->b_factor = constant(fusion->constants, &offset, width);
		magnitudes += site->pool->b.outputs;
		fusion->site_of[site->pool->index] = at;
	}
	fusion->method.groups[FUSION_MAGNITUDES].count = magnitudes;
	return 0;
}

void lf_lorafusion_defaults(struct lf_lorafusion_options *options)
{
	*options = (struct lf_lorafusion_options){ .merge = LF_MERGE_SUM,
						   .coefficient_rate = 0.02,
						   .coefficient_decay = 1e-5,
						   .coefficient_l1 = 0.0005,
						   .magnitude_rate = 0.005 };
}

/* The groups but for the magnitudes' count, which the sites tell. */
static void make_groups(struct fusion *fusion)
{
	const struct lf_lorafusion_options *options = &fusion->options;
	size_t columns = options->coefficients == LF_COEFFICIENTS_MODEL
				 ? 1
				 : fusion->method.encoder->config.num_hidden_layers;

	fusion->method.group_count = options->without_magnitudes ? 1 : FUSION_GROUPS;
	fusion->method.groups[FUSION_COEFFICIENTS] =
		(struct lf_parameters){ .name = "coefficients",
					.count = columns * fusion->pool->modules,
					.learning_rate = options->coefficient_rate,
					.weight_decay = options->coefficient_decay,
					.l1 = options->coefficient_l1 };
	fusion->method.groups[FUSION_MAGNITUDES] =
		(struct lf_parameters){ .name = "magnitudes",
					.learning_rate = options->magnitude_rate };
}

static int check_options(const struct lf_lorafusion_options *options, struct lf_error *error)
{
	if (options->merge > LF_MERGE_PRODUCT || options->coefficients > LF_COEFFICIENTS_MODEL)
		return lf_error_set(error, -EINVAL, "lorafusion: merge %d, coefficients %d",
				    (int)options->merge, (int)options->coefficients);
	if (!(options->prune >= 0.0 && options->prune <= 1.0) ||
	    !(options->switch_off >= 0.0 && options->switch_off <= 1.0))
		return lf_error_set(error, -EINVAL, "lorafusion: prune %g, switch_off %g: 0 to 1",
				    options->prune, options->switch_off);
	return 0;
}

int lf_lorafusion_create(struct lf_encoder *encoder, struct lf_pool *pool,
			 const struct lf_lorafusion_options *options, struct lf_method **method,
			 struct lf_error *error)
{
	uint32_t linears = lf_bert_linears(&encoder->config);
	struct fusion *fusion;
	size_t magnitudes;
	int ret = check_options(options, error);

	if (ret)
		return ret;
	fusion = lf_method_new(sizeof(*fusion), &method_ops, &fusion_hook_ops, encoder, error);
	if (!fusion)
		return -ENOMEM;
	fusion->pool = pool;
	fusion->options = *options;
	make_groups(fusion);
	fusion->sites = calloc(pool->site_count, sizeof(*fusion->sites));
	fusion->site_of = malloc(linears * sizeof(*fusion->site_of));
	fusion->held = calloc(fusion->method.groups[FUSION_COEFFICIENTS].count, sizeof(float));
	fusion->traces =
		calloc((size_t)LF_ENCODER_LANES * pool->site_count, sizeof(*fusion->traces));
	if (!fusion->sites || !fusion->site_of || !fusion->held || !fusion->traces) {
		ret = lf_error_set(error, -ENOMEM, "lorafusion: no memory");
		goto out;
	}
	memset(fusion->site_of, 0xff, linears * sizeof(*fusion->site_of));
	ret = make_sites(fusion, error);
	if (!ret)
		ret = lf_method_allocate(&fusion->method, error);
	if (!ret)
		ret = make_traces(fusion, error);
	if (ret)
		goto out;
	magnitudes = fusion->method.groups[FUSION_MAGNITUDES].count;
	fusion->norms = calloc(magnitudes, sizeof(float));
	fusion->inverse = calloc(magnitudes, sizeof(float));
	if (!fusion->norms || !fusion->inverse)
		ret = lf_error_set(error, -ENOMEM, "lorafusion: no memory");
out:
	return lf_method_created(ret, &fusion->method, method);
}
