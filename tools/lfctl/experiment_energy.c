// SPDX-License-Identifier: MIT
/* What an experiment's energy comes to; see experiment_energy.h for the formulas. */
#include <math.h>
#include <string.h>

#include "tools/lfctl/experiment.h"
#include "tools/lfctl/experiment_energy.h"

/* Published energies of writing a cell span 1 to 100 pJ and more (PUMA 1.4, Wan et al. about 104). */
static const double cell_prices_pj[] = { 1, 3, 10, 30, 100 };

/*
 * Nothing; 5 pJ a bit, as stacked memory beside a processor takes (Micron gives 6.0 for HBM2E, 7.5 for GDDR6); and 20 pJ a bit, which a DRAM
 * access of 1.3 nJ for 64 bits is (Horowitz, 10.1109/ISSCC.2014.6757323).
 */
static const double byte_prices_pj[] = { 0, 40, 160 };

/* A multiplication of 3.7 pJ and an addition of 0.9 pJ in fp32 (Horowitz, the same). */
#define MAC_PJ	     4.6

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

double energy_adaptation_pj(const struct energy_cost *cost, const struct energy_price *price)
{
	double writes_pj = price->cell_pj < 0.0 ? cost->writes_pj : cost->cells * price->cell_pj;

	return cost->adapt_pj + cost->adapt_bytes * price->byte_pj +
	       cost->adapt_macs * price->mac_pj + writes_pj;
}

double energy_token_pj(const struct energy_cost *cost, const struct energy_price *price)
{
	return cost->token_pj + cost->token_bytes * price->byte_pj +
	       cost->token_macs * price->mac_pj;
}

double energy_break_even_pj_cell(const struct energy_cost *one, const struct energy_cost *other,
				 const struct energy_price *price, double tokens)
{
	const struct energy_price free_writes = { 0.0, price->byte_pj, price->mac_pj };
	double extra_pj = energy_adaptation_pj(one, &free_writes) -
			  energy_adaptation_pj(other, &free_writes) +
			  tokens * (energy_token_pj(one, &free_writes) -
				    energy_token_pj(other, &free_writes));

	if (other->cells <= one->cells)
		return INFINITY;
	return fmax(0.0, extra_pj / (other->cells - one->cells));
}

enum energy_verdict energy_crossover(const struct energy_cost *one, const struct energy_cost *other,
				     const struct energy_price *price, double *tokens)
{
	double saved_pj = energy_adaptation_pj(other, price) - energy_adaptation_pj(one, price);
	double extra_pj = energy_token_pj(one, price) - energy_token_pj(other, price);

	if (saved_pj <= 0.0 && extra_pj >= 0.0)
		return ENERGY_NEVER;
	if (saved_pj >= 0.0 && extra_pj <= 0.0)
		return ENERGY_ALWAYS;
	*tokens = saved_pj / extra_pj;
	return saved_pj > 0.0 ? ENERGY_UP_TO : ENERGY_FROM;
}

/* Sums over the runs of a method. */
struct sums {
	struct energy_cost cost; /* token_* of all tokens */
	double backbone_pj;
	double pool_pj;
	double tokens;
	double accuracy;
	double modules_read;
	double modules_all;
	double trained;
	double adapt_tokens;
	double writes_a_cell;
	double deployed_cells; /* of the pool's device; 0 where none has a pool */
	uint32_t runs;
};

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void add_line(struct sums *sums, const json_t *line)
{
	const json_t *training = json_object_get(line, "training");
	const json_t *inference = json_object_get(line, "inference");
	const json_t *adapt_pj = json_object_get(training, "energy_pj");
	const json_t *test_pj = json_object_get(inference, "energy_pj");
	const json_t *deployed = json_object_get(line, "deployed");

	sums->cost.adapt_pj += number(adapt_pj, "backbone") + number(adapt_pj, "pool");
	sums->cost.adapt_bytes += number(training, "host_bytes");
	sums->cost.cells += number(training, "cells_written");
	sums->cost.writes_pj += number(adapt_pj, "writes");
	sums->cost.token_pj += number(test_pj, "backbone") + number(test_pj, "pool");
	sums->cost.token_bytes += number(inference, "host_bytes");
	sums->backbone_pj += number(test_pj, "backbone");
	sums->pool_pj += number(test_pj, "pool");
	sums->tokens += number(inference, "tokens");
	sums->accuracy += number(line, "accuracy");
	sums->modules_read += number(line, "modules_read");
	sums->modules_all += number(line, "modules_all");
	sums->trained += number(line, "trained");
	sums->adapt_tokens += number(training, "tokens");
	sums->writes_a_cell = fmax(sums->writes_a_cell, number(line, "writes_a_cell"));
	if (json_is_true(json_object_get(deployed, "pool")))
		sums->deployed_cells = number(deployed, "cells_written");
	sums->runs++;
}

/*
 * What a LoRA multiplies on the host: by each number of A and B once for a token, and in training twice more for the gradients of inputs and
 * of A and B. What is on crossbars is multiplied there, but for the gradients of A and B. Of other methods it is not counted.
 */
static void count_macs(const struct experiment_method *method, struct sums *sums)
{
	enum lf_place place = recipe_place(&method->recipe);

	if (strcmp(method->recipe.method, "lora") || strcmp(method->recipe.head, "cosine"))
		return;
	sums->cost.token_macs = place == LF_PLACE_HOST ? sums->trained : 0.0;
	sums->cost.adapt_macs =
		sums->adapt_tokens * sums->trained * (place == LF_PLACE_EACH_STEP ? 1.0 : 3.0);
}

/* Sums become means: of an adaptation, and of a token. */
static void sum_method(const struct experiment_stage *stage, uint32_t number_of,
		       const struct experiment_method *method, struct sums *sums)
{
	double tokens;

	*sums = (struct sums){ 0 };
	for (uint32_t at = 0; at < stage->count; at++)
		if (stage->runs[at].method == number_of)
			add_line(sums, stage->runs[at].line);
	tokens = sums->tokens > 0.0 ? sums->tokens : 1.0;
	sums->cost.adapt_pj /= sums->runs;
	sums->cost.adapt_bytes /= sums->runs;
	sums->cost.cells /= sums->runs;
	sums->cost.writes_pj /= sums->runs;
	sums->cost.token_pj /= tokens;
	sums->cost.token_bytes /= tokens;
	sums->backbone_pj /= tokens;
	sums->pool_pj /= tokens;
	sums->accuracy /= sums->runs;
	sums->modules_read /= sums->runs;
	sums->modules_all /= sums->runs;
	sums->trained /= sums->runs;
	sums->adapt_tokens /= sums->runs;
	count_macs(method, sums);
}

/* Six digits: enough to tell methods apart, and the same text whatever the last bits are. */
static json_t *rounded(double value)
{
	double unit;

	if (!isfinite(value))
		return json_null();
	if (value == 0.0)
		return json_real(0.0);
	unit = pow(10.0, floor(log10(fabs(value))) - 5.0);
	return json_real(unit < 1.0 ? rint(value * rint(1.0 / unit)) / rint(1.0 / unit)
				    : rint(value / unit) * unit);
}

static json_t *method_row(const struct experiment *experiment, uint32_t method,
			  const struct sums *sums)
{
	const struct energy_price price = { -1.0, experiment->host_pj_byte, MAC_PJ };
	json_t *row = json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "method",
		experiment->methods[method].name, "accuracy", rounded(sums->accuracy),
		"adaptation_uj", rounded(energy_adaptation_pj(&sums->cost, &price) / 1e6),
		"token_pj", rounded(energy_token_pj(&sums->cost, &price)), "token_backbone_pj",
		rounded(sums->backbone_pj), "token_pool_pj", rounded(sums->pool_pj),
		"token_host_pj", rounded(sums->cost.token_bytes * price.byte_pj),
		"adaptation_arithmetic_uj", rounded(sums->cost.adapt_macs * price.mac_pj / 1e6),
		"token_arithmetic_pj", rounded(sums->cost.token_macs * price.mac_pj));

	json_object_set_new(row, "write_pj_cell",
			    rounded(sums->cost.cells > 0.0 ? sums->cost.writes_pj / sums->cost.cells
							   : INFINITY));
	json_object_set_new(row, "writes_a_cell", rounded(sums->writes_a_cell));
	json_object_set_new(row, "modules_read",
			    rounded(sums->modules_all > 0.0 ? sums->modules_read : INFINITY));
	json_object_set_new(row, "modules_all",
			    rounded(sums->modules_all > 0.0 ? sums->modules_all : INFINITY));
	return row;
}

static void add_verdict(json_t *row, const struct energy_cost *one, const struct energy_cost *other,
			const struct energy_price *price)
{
	static const char *const words[] = { [ENERGY_NEVER] = "never",
					     [ENERGY_ALWAYS] = "always",
					     [ENERGY_UP_TO] = "up to",
					     [ENERGY_FROM] = "from" };
	double tokens = INFINITY;
	enum energy_verdict verdict = energy_crossover(one, other, price, &tokens);

	json_object_set_new(row, "cheaper", json_string(words[verdict]));
	json_object_set_new(row, "tokens", rounded(tokens));
}

/* Which of two adapts for less, at every price of the sweep; adds a row for each. */
static const char *sweep(const struct experiment *experiment, uint32_t one, uint32_t other,
			 const struct sums *sums, json_t *rows)
{
	uint32_t cheaper = 0, all = 0;

	for (size_t byte = 0; byte < COUNT(byte_prices_pj); byte++)
		for (size_t cell = 0; cell < COUNT(cell_prices_pj); cell++) {
			struct energy_price price = { cell_prices_pj[cell], byte_prices_pj[byte],
						      MAC_PJ };
			double ratio = energy_adaptation_pj(&sums[one].cost, &price) /
				       energy_adaptation_pj(&sums[other].cost, &price);
			json_t *row = json_pack("{s:s, s:s, s:f, s:f, s:o}", "method",
						experiment->methods[one].name, "against",
						experiment->methods[other].name, "write_pj_cell",
						price.cell_pj, "host_pj_byte", price.byte_pj,
						"adaptation_ratio", rounded(ratio));

			add_verdict(row, &sums[one].cost, &sums[other].cost, &price);
			json_array_append_new(rows, row);
			cheaper += ratio < 1.0;
			all++;
		}
	return !cheaper ? "never" : cheaper == all ? "always" : "depends on the preset";
}

/*
 * A method that writes nothing against one that writes. Where the first has a pool, that was written once: after how many tasks the other
 * has written as many cells.
 */
static void compare(const struct experiment *experiment, uint32_t one, uint32_t other,
		    const struct sums *sums, double backbone_cells, json_t *result)
{
	const struct energy_price price = { -1.0, experiment->host_pj_byte, MAC_PJ };
	const struct energy_cost *mine = &sums[one].cost, *theirs = &sums[other].cost;
	double pool_cells = experiment->methods[one].pool && backbone_cells > 0.0
				    ? sums[one].deployed_cells - backbone_cells
				    : INFINITY;
	json_t *row = json_pack("{s:s, s:s, s:o, s:o}", "method", experiment->methods[one].name,
				"against", experiment->methods[other].name, "write_pj_cell",
				rounded(theirs->writes_pj / theirs->cells), "break_even_pj_cell",
				rounded(energy_break_even_pj_cell(mine, theirs, &price, 0.0)));

	add_verdict(row, mine, theirs, &price);
	json_object_set_new(row, "adapts_for_less",
			    json_string(sweep(experiment, one, other, sums,
					      json_object_get(result, "energy_sweep"))));
	json_object_set_new(row, "pool_cells",
			    isfinite(pool_cells) ? json_real(pool_cells) : json_null());
	json_object_set_new(row, "tasks_to_repay_cells", rounded(pool_cells / theirs->cells));
	json_array_append_new(json_object_get(result, "energy_comparisons"), row);
}

/* Reading a pool against multiplying by A and B on the host: the energy of a multiplication above which the first takes less for a token. */
static void compare_digital(const struct experiment *experiment, uint32_t one, uint32_t other,
			    const struct sums *sums, json_t *rows)
{
	const struct energy_price price = { -1.0, experiment->host_pj_byte, 0.0 };
	double extra_pj = energy_token_pj(&sums[one].cost, &price) -
			  energy_token_pj(&sums[other].cost, &price);

	json_array_append_new(
		rows,
		json_pack("{s:s, s:s, s:o, s:o, s:o}", "method", experiment->methods[one].name,
			  "against", experiment->methods[other].name, "token_extra_pj",
			  rounded(extra_pj), "host_macs_token",
			  rounded(sums[other].cost.token_macs), "break_even_pj_mac",
			  rounded(fmax(0.0, extra_pj / sums[other].cost.token_macs))));
}

/* Cells of the model alone, from a device without a pool; 0 if no run had one. */
static double model_cells(const struct experiment_stage *stage)
{
	for (uint32_t at = 0; at < stage->count; at++) {
		const json_t *deployed = json_object_get(stage->runs[at].line, "deployed");

		if (json_is_false(json_object_get(deployed, "pool")))
			return number(deployed, "cells_written");
	}
	return 0.0;
}

void experiment_energy(const struct experiment *experiment, const struct experiment_stage *stage,
		       json_t *result)
{
	struct sums sums[EXPERIMENT_METHODS];
	json_t *rows = json_array(), *digital = json_array();
	double backbone_cells = model_cells(stage);

	json_object_set_new(result, "energy", rows);
	json_object_set_new(result, "energy_comparisons", json_array());
	json_object_set_new(result, "energy_digital", digital);
	json_object_set_new(result, "energy_sweep", json_array());
	for (uint32_t method = 0; method < experiment->method_count; method++) {
		sum_method(stage, method, &experiment->methods[method], &sums[method]);
		json_array_append_new(rows, method_row(experiment, method, &sums[method]));
	}
	for (uint32_t one = 0; one < experiment->method_count; one++)
		for (uint32_t other = 0; other < experiment->method_count; other++) {
			const struct experiment_method *mine = &experiment->methods[one];

			if (sums[one].cost.cells == 0.0 && sums[one].cost.adapt_pj > 0.0 &&
			    sums[other].cost.cells > 0.0)
				compare(experiment, one, other, sums, backbone_cells, result);
			if (mine->pool && sums[one].cost.adapt_pj > 0.0 &&
			    sums[other].cost.token_macs > 0.0)
				compare_digital(experiment, one, other, sums, digital);
		}
}
