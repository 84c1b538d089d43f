/* SPDX-License-Identifier: MIT */
/* Lengths of time as people type them: a number with s, m, h, d or y (365.25 days) behind it, or 0. */
#ifndef LFCTL_AGE_H
#define LFCTL_AGE_H

/* What a message about a bad one says is wanted. */
#define AGE_WANTED "0, or a number with s, m, h, d or y behind it, at most 100y"

/** age_parse() - read a length of time; 0, or -EINVAL for anything else and for more than 100 years */
int age_parse(const char *text, double *seconds);

#endif
