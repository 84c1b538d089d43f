// SPDX-License-Identifier: MIT
/*
 * BertNormalizer and BertPreTokenizer of the reference implementation, on code points. What a
 * character is (category, decomposition, case) comes from utf8proc. The reference's tables are
 * older: some 570 characters that Unicode added or moved since are marks or punctuation here and
 * parts of an unknown word there. Unassigned characters are kept, as the reference keeps them.
 */
#include <errno.h>
#include <stdlib.h>

#include <utf8proc.h>

#include "runtime/io/text_normaliser.h"

/* The longest canonical decomposition of one character has four code points. */
#define DECOMPOSITION_POINTS 4

static bool is_space(int32_t point)
{
	switch (utf8proc_category(point)) {
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return true;
	default:
		return point == '\t' || point == '\n' || point == '\r';
	}
}

/* Control, format and private characters, apart from those that are spaces. */
static bool is_dropped(int32_t point)
{
	switch (utf8proc_category(point)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CS:
		return !is_space(point);
	default:
		return point == 0xfffd;
	}
}

static bool is_punctuation(int32_t point)
{
	/* All of ASCII that is neither letter, digit nor space, symbols like '$' and '+' too. */
	if (point < 0x80)
		return (point >= 33 && point <= 47) || (point >= 58 && point <= 64) ||
		       (point >= 91 && point <= 96) || (point >= 123 && point <= 126);
	switch (utf8proc_category(point)) {
	case UTF8PROC_CATEGORY_PC:
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
		return true;
	default:
		return false;
	}
}

/* The blocks of CJK ideographs, with the reference's start of extension E (2B920, not 2B820). */
static bool is_ideograph(int32_t point)
{
	static const struct {
		int32_t first, last;
	} blocks[] = {
		{ 0x4e00, 0x9fff },   { 0x3400, 0x4dbf },   { 0x20000, 0x2a6df },
		{ 0x2a700, 0x2b73f }, { 0x2b740, 0x2b81f }, { 0x2b920, 0x2ceaf },
		{ 0xf900, 0xfaff },   { 0x2f800, 0x2fa1f },
	};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		if (point >= blocks[i].first && point <= blocks[i].last)
			return true;
	}
	return false;
}

/* Decode, drop and space out. points has room for three code points a byte. */
static int clean(struct lf_code_points *result, const char *text, size_t size_bytes,
		 struct lf_error *error)
{
	const utf8proc_uint8_t *next = (const utf8proc_uint8_t *)text;
	size_t left = size_bytes;
	size_t count = 0;

	while (left > 0) {
		utf8proc_int32_t point;
		utf8proc_ssize_t length;

		length = utf8proc_iterate(next, (utf8proc_ssize_t)left, &point);
		if (length <= 0)
			return lf_error_set(error, -EILSEQ, "text is not UTF-8 at byte %zu",
					    size_bytes - left);
		next += length;
		left -= (size_t)length;
		if (is_dropped(point))
			continue;
		if (is_ideograph(point)) {
			result->points[count++] = ' ';
			result->points[count++] = point;
			result->points[count++] = ' ';
		} else {
			result->points[count++] = is_space(point) ? ' ' : point;
		}
	}
	result->count = count;
	return 0;
}

static int combining_class(int32_t point)
{
	return utf8proc_get_property(point)->combining_class;
}

/* Canonical order: within a run of marks, by combining class, otherwise as they came. */
static void order_marks(int32_t *points, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		int32_t point = points[i];
		int class = combining_class(point);
		size_t at = i;

		if (class == 0)
			continue;
		for (; at > 0 && combining_class(points[at - 1]) > class; at--)
			points[at] = points[at - 1];
		points[at] = point;
	}
}

/* NFD, without non-spacing marks, lowercased: "Élan" becomes "elan". */
static int strip_accents_and_case(struct lf_code_points *text, struct lf_error *error)
{
	size_t room = DECOMPOSITION_POINTS * text->count;
	int32_t *decomposed = malloc((room ? room : 1) * sizeof(*decomposed));
	size_t count = 0, kept = 0;

	if (!decomposed)
		return lf_error_set(error, -ENOMEM, "no memory to normalise a text");
	for (size_t i = 0; i < text->count; i++) {
		utf8proc_ssize_t length;

		length = utf8proc_decompose_char(text->points[i], decomposed + count,
						 (utf8proc_ssize_t)(room - count),
						 UTF8PROC_DECOMPOSE, NULL);
		if (length < 0 || (size_t)length > room - count) {
			free(decomposed);
			return lf_error_set(error, -EINVAL, "U+%04X cannot be decomposed",
					    (unsigned int)text->points[i]);
		}
		count += (size_t)length;
	}
	order_marks(decomposed, count);
	for (size_t i = 0; i < count; i++) {
		if (utf8proc_category(decomposed[i]) != UTF8PROC_CATEGORY_MN)
			decomposed[kept++] = utf8proc_tolower(decomposed[i]);
	}
	free(text->points);
	text->points = decomposed;
	text->count = kept;
	return 0;
}

int lf_text_normalise(struct lf_code_points *result, const char *text, size_t size_bytes,
		      bool uncased, struct lf_error *error)
{
	struct lf_code_points cleaned = { 0 };
	int ret;

	cleaned.points = malloc((3 * size_bytes + 1) * sizeof(*cleaned.points));
	if (!cleaned.points)
		return lf_error_set(error, -ENOMEM, "no memory to normalise a text");
	ret = clean(&cleaned, text, size_bytes, error);
	if (!ret && uncased)
		ret = strip_accents_and_case(&cleaned, error);
	if (ret)
		free(cleaned.points);
	else
		*result = cleaned;
	return ret;
}

bool lf_text_next_word(const struct lf_code_points *text, size_t *position, size_t *begin)
{
	size_t at = *position;

	while (at < text->count && is_space(text->points[at]))
		at++;
	*begin = at;
	if (at == text->count)
		return false;
	if (is_punctuation(text->points[at])) {
		*position = at + 1;
		return true;
	}
	while (at < text->count && !is_space(text->points[at]) && !is_punctuation(text->points[at]))
		at++;
	*position = at;
	return true;
}
