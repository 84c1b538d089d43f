/* SPDX-License-Identifier: MIT */
/* The manual page and the shell completion, made from the tables of commands and options. */
#ifndef LFCTL_MANUAL_H
#define LFCTL_MANUAL_H

/** manual_page() - lfctl(1) in man's macros, on standard output */
void manual_page(void);

/** manual_completion() - completion for bash, on standard output */
void manual_completion(void);

#endif
