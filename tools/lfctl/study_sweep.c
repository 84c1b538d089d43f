// SPDX-License-Identifier: MIT
/* The sweeps of a study; see study_sweep.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lfctl/age.h"
#include "tools/lfctl/study_sweep.h"

/* Parameters of the model are kept in millionths. */
#define PARTS 1000000

static const struct study_axis axes[STUDY_SWEEPS] = {
	[STUDY_ADC] = { "adc", "ADC resolution, step of the base", "bit", false },
	[STUDY_CALIBRATED] = { "calibrated", "ADC resolution, calibrated", "bit", false },
	[STUDY_PROGRAMMING] = { "programming", "programming noise, of Gmax", "", true },
	[STUDY_STUCK] = { "stuck", "share of stuck cells", "", true },
	[STUDY_TIME] = { "time", "time since programming", "", true },
};

const struct study_axis *study_axis(enum study_sweep_kind kind)
{
	return &axes[kind];
}

static int parse_bits(const char *text, double *x)
{
	char *end;
	long bits = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || bits < 1 || bits > 12)
		return -EINVAL;
	*x = (double)bits;
	return 0;
}

static int parse_share(const char *text, double *x)
{
	double parts;
	char *end;

	if (((*text < '0' || *text > '9') && *text != '.') || text[strspn(text, "0123456789.")])
		return -EINVAL;
	*x = strtod(text, &end);
	parts = *x * PARTS;
	return end == text || *end || !(*x <= 1.0) || fabs(parts - rint(parts)) > 1e-6 ? -EINVAL
										       : 0;
}

static int parse_value(enum study_sweep_kind kind, const char *text, size_t length,
		       struct study_value *value, struct lf_error *error)
{
	static const struct {
		int (*parse)(const char *text, double *x);
		const char *wanted;
	} rules[STUDY_SWEEPS] = {
		[STUDY_ADC] = { parse_bits, "a whole number from 1 to 12" },
		[STUDY_CALIBRATED] = { parse_bits, "a whole number from 1 to 12" },
		[STUDY_PROGRAMMING] = { parse_share, "a number from 0 to 1, of six places" },
		[STUDY_STUCK] = { parse_share, "a number from 0 to 1, of six places" },
		[STUDY_TIME] = { age_parse, AGE_WANTED },
	};
	static const char *const options[STUDY_SWEEPS] = {
		[STUDY_ADC] = "adc-bits",
		[STUDY_CALIBRATED] = "calibrated-bits",
		[STUDY_PROGRAMMING] = "programming",
		[STUDY_STUCK] = "stuck",
		[STUDY_TIME] = "ages",
	};

	if (length < sizeof(value->text)) {
		memcpy(value->text, text, length);
		value->text[length] = '\0';
		if (!rules[kind].parse(value->text, &value->x))
			return 0;
	}
	return lf_error_set(error, -EINVAL, "--%s: \"%.*s\" is not %s", options[kind],
			    length < 64 ? (int)length : 64, text, rules[kind].wanted);
}

static int parse_list(struct study_sweep *sweep, const char *list, struct lf_error *error)
{
	const char *name = axes[sweep->kind].name;
	int ret = 0;

	for (const char *text = list;; text++) {
		size_t length = strcspn(text, ",");

		if (sweep->count == STUDY_VALUES)
			return lf_error_set(error, -EINVAL, "sweep %s: more than %d values", name,
					    STUDY_VALUES);
		ret = parse_value(sweep->kind, text, length, &sweep->values[sweep->count], error);
		if (ret)
			return ret;
		if (sweep->count &&
		    sweep->values[sweep->count].x <= sweep->values[sweep->count - 1].x)
			return lf_error_set(error, -EINVAL,
					    "sweep %s: %s follows %s, values must rise", name,
					    sweep->values[sweep->count].text,
					    sweep->values[sweep->count - 1].text);
		sweep->count++;
		text += length;
		if (!*text)
			return 0;
	}
}

/* Marks the sweeps that are named. */
static int parse_names(const char *names, bool wanted[STUDY_SWEEPS], struct lf_error *error)
{
	for (const char *text = names;; text++) {
		size_t length = strcspn(text, ",");
		int kind = 0;

		while (kind < STUDY_SWEEPS && (strlen(axes[kind].name) != length ||
					       strncmp(axes[kind].name, text, length)))
			kind++;
		if (kind == STUDY_SWEEPS)
			return lf_error_set(error, -EINVAL,
					    "--sweeps: \"%.*s\" is none of adc, calibrated, "
					    "programming, stuck, time",
					    length < 64 ? (int)length : 64, text);
		wanted[kind] = true;
		text += length;
		if (!*text)
			return 0;
	}
}

int study_sweeps_parse(const char *names, const char *const lists[STUDY_SWEEPS],
		       struct study_sweep sweeps[STUDY_SWEEPS], uint32_t *count,
		       struct lf_error *error)
{
	bool wanted[STUDY_SWEEPS] = { false };
	int ret = parse_names(names, wanted, error);

	*count = 0;
	for (int kind = 0; !ret && kind < STUDY_SWEEPS; kind++) {
		if (!wanted[kind])
			continue;
		sweeps[*count] = (struct study_sweep){ .kind = (enum study_sweep_kind)kind };
		ret = parse_list(&sweeps[(*count)++], lists[kind], error);
	}
	return ret;
}

void study_sweep_keys(enum study_sweep_kind kind, const struct study_value *value,
		      char keys[STUDY_KEYS_BYTES])
{
	long parts = lrint(value->x * PARTS);

	keys[0] = '\0';
	switch (kind) {
	case STUDY_ADC:
	case STUDY_CALIBRATED:
		snprintf(keys, STUDY_KEYS_BYTES, ",adc_bits=%s", value->text);
		break;
	case STUDY_PROGRAMMING:
		snprintf(keys, STUDY_KEYS_BYTES, ",program_sigma=%ld.%06ld", parts / PARTS,
			 parts % PARTS);
		break;
	case STUDY_STUCK:
		snprintf(keys, STUDY_KEYS_BYTES, ",stuck_on=0.%06ld,stuck_off=0.%06ld", parts / 2,
			 parts - parts / 2);
		break;
	default:
		break;
	}
}
